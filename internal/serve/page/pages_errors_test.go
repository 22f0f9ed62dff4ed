package page_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/calm-go/calm/internal/serve/page"
)

// failing answers some requests as a server in trouble does.
func failing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/write" {
			h.ServeHTTP(w, r)
			return
		}
		fmt.Fprintln(w, `{"patch":{"tokens":[{"id":97,"name":"a","text":"a"}],"text":"a","draws":1,"ms":1}}`)
		fmt.Fprintln(w, `{"error":"patch 2: the sampler accepted nothing"}`)
	})
}

// failures: an error in the middle of a text leaves what came before it.
func failures(b *tab) {
	b.wait(`document.getElementById("write-model").value`)
	b.click("write-start")
	b.wait(`document.querySelector("#write-texts [role=alert]")?.textContent === "patch 2: the sampler accepted nothing"`)
	if got := eval[string](b, `document.querySelector("#write-texts .patch").textContent`); got != "a" {
		b.Errorf("what came before the error is %q", got)
	}
	b.set("write-length", "5000")
	if eval[bool](b, `document.getElementById("write-form").checkValidity()`) {
		b.Error("a length beyond the limit can be asked for")
	}
}

// locked asks for an API key, as the server does.
func locked(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, page.API) && r.Header.Get("Authorization") != "Bearer secret" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(`{"error":{"message":"the API key is missing or wrong"}}`))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// key: the page asks for the key, asks again where it is wrong, and keeps it for the tab.
func key(b *tab) {
	b.refusals = true
	b.wait(`document.getElementById("key").open`)
	for _, value := range []string{"wrong", "secret"} {
		b.do(chromedp.SendKeys(chromedp.ID("key-value"), value+kb.Enter))
		if value == "wrong" {
			b.wait(`document.getElementById("key").open && document.getElementById("key-about").textContent.includes("refused")`)
		}
	}
	b.wait(`!document.getElementById("key").open && document.getElementById("write-model").value === "lm"`)
	b.set("write-length", "8")
	b.click("write-start")
	b.wait(`document.querySelector("#write-texts [data-stop]") && !document.querySelector("#write-texts [data-stop=error]")`)
	b.do(chromedp.Reload())
	b.wait(`!document.getElementById("key").open && document.getElementById("write-model").value === "lm"`)
}
