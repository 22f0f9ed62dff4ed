package page_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestBrowser drives the page in a real browser.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes long")
	}
	browser := startBrowser(t)
	h, l := handler(t)
	desktop := func(t *testing.T, h http.Handler, path string) *tab {
		return openTab(t, browser, h, path, 1200, 800, false)
	}
	t.Run("write", func(t *testing.T) { writes(desktop(t, h, "/")) })
	t.Run("stop", func(t *testing.T) { stops(desktop(t, h, "/#write"), l) })
	t.Run("several", func(t *testing.T) { several(desktop(t, h, "/#write")) })
	t.Run("sure", func(t *testing.T) { sure(desktop(t, withShares(h), "/#write")) })
	t.Run("baseline", func(t *testing.T) { baseline(desktop(t, h, "/#write")) })
	t.Run("pack", func(t *testing.T) { packs(desktop(t, h, "/#pack")) })
	t.Run("runs", func(t *testing.T) { runs(desktop(t, h, "/#runs")) })
	t.Run("live", func(t *testing.T) { live(t, desktop) })
	t.Run("failures", func(t *testing.T) { failures(desktop(t, failing(h), "/#write")) })
	t.Run("key", func(t *testing.T) { key(desktop(t, locked(h), "/#write")) })
	for _, dark := range []bool{false, true} {
		t.Run(fmt.Sprintf("phone, dark %t", dark), func(t *testing.T) { phone(openTab(t, browser, h, "/", 360, 740, dark), dark) })
	}
}

// writes: a text comes, each patch is a span, and the pointer and the arrow keys show its tokens.
func writes(b *tab) {
	b.wait(`document.getElementById("write-model").value === "lm"`)
	if got := eval[string](b, `document.querySelector("nav [aria-current]").textContent`); got != "Write" {
		b.Errorf("the page %q is shown first", got)
	}
	if eval[bool](b, `document.getElementById("write-sampler").disabled`) {
		b.Error("the sampler cannot be chosen below temperature 1")
	}
	b.set("write-temperature", "1")
	if !eval[bool](b, `document.getElementById("write-sampler").disabled && document.getElementById("write-draws").disabled`) {
		b.Error("the sampler can be chosen at temperature 1")
	}
	b.set("write-temperature", "0.95")
	b.set("write-prompt", "the whale ")
	b.set("write-length", "42")
	b.set("write-draws", "16")
	b.click("write-start")
	b.wait(`document.querySelector("#write-texts [data-stop]")`)
	if got := eval[int](b, `document.querySelectorAll("#write-texts .patch").length`); got != 11 {
		b.Errorf("%d patches of 42 tokens", got)
	}
	if got := eval[string](b, `document.querySelector("#write-texts .meter").innerText.replace(/\s+/g, " ").trim()`); got != "11 steps 42 tokens" {
		b.Errorf("the meter says %q", got)
	}
	if got := eval[string](b, `document.querySelector("#write-texts .rates").innerText`); !strings.Contains(got, "176 draws") || !strings.Contains(got, "tokens/s") {
		b.Errorf("the rates are %q", got)
	}
	if got := eval[string](b, `document.querySelector("#write-texts .out").textContent`); !strings.HasPrefix(got, "the whale ") || len([]rune(got)) != 52 {
		b.Errorf("the text is %q", got)
	}
	patch := `document.querySelectorAll("#write-texts .patch")[%d]`
	readout := `document.querySelector("#write-texts .readout").innerText`
	at := eval[struct{ X, Y float64 }](b, `(({x, y, width, height}) => ({x: x + width / 2, y: y + height / 2}))(`+fmt.Sprintf(patch, 2)+`.getClientRects()[0])`)
	b.do(chromedp.MouseEvent(chromedp.MouseMoved, at.X, at.Y))
	b.wait(readout + `.includes("patch 3")`)
	if got := eval[string](b, readout); !strings.Contains(got, "16 draws") || !strings.Contains(got, " ms") || eval[int](b, `document.querySelectorAll("#write-texts .chip").length`) != 4 {
		b.Errorf("patch 3: %q", got)
	}
	eval[bool](b, `(`+fmt.Sprintf(patch, 2)+`.focus(), true)`)
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	b.wait(readout + `.includes("patch 4")`)
	b.do(chromedp.KeyEvent(kb.End))
	b.wait(readout + `.includes("patch 11")`)
	if got := eval[int](b, `document.querySelectorAll("#write-texts .patch[tabindex='0']").length`); got != 1 {
		b.Errorf("%d patches can be reached with the Tab key", got)
	}
	text := eval[string](b, `document.querySelector("#write-texts .out").textContent`)
	b.click("write-again")
	b.wait(`document.querySelector("#write-texts .seed").textContent === "seed 2" && document.querySelector("#write-texts [data-stop]")`)
	if again := eval[string](b, `document.querySelector("#write-texts .out").textContent`); again == text {
		b.Error("another seed writes the same text")
	}
	b.set("write-seed", "1")
	b.click("write-start")
	b.wait(`document.querySelector("#write-texts .seed").textContent === "seed 1" && document.querySelector("#write-texts [data-stop]")`)
	if same := eval[string](b, `document.querySelector("#write-texts .out").textContent`); same != text {
		b.Errorf("the same seed writes %q, and before %q", same, text)
	}
	b.do(chromedp.Click(chromedp.CSS("#write-texts .card button")))
	b.wait(`/Copied|Selected/.test(document.querySelector("#write-texts .card button").textContent)`)
}

// stops: a long text is stopped by the button and by the key, and the model is free at once.
func stops(b *tab, l *library) {
	b.wait(`document.getElementById("write-model").value`)
	b.set("write-length", "4096")
	b.set("write-draws", "3000")
	for _, stop := range []func(){func() { b.click("write-stop") }, func() { b.do(chromedp.KeyEvent(kb.Escape)) }} {
		b.click("write-start")
		b.wait(`document.querySelectorAll("#write-texts .patch").length > 2`)
		if eval[bool](b, `document.getElementById("write-stop").disabled`) {
			b.Error("a text that is being written cannot be stopped")
		}
		stop()
		b.wait(`document.querySelector("#write-texts [data-stop=stopped]") && document.getElementById("write-stop").disabled`)
		b.wait("true")
		for range 100 {
			if l.released() {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !l.released() {
			b.Error("the server writes on")
		}
	}
}

// several: texts side by side, each with its own seed.
func several(b *tab) {
	b.wait(`document.getElementById("write-model").value`)
	b.set("write-count", "3")
	b.set("write-temperature", "1")
	b.set("write-length", "30")
	b.set("write-seed", "7")
	b.do(chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	b.wait(`document.querySelectorAll("#write-texts [data-stop]").length === 3`)
	if got := eval[string](b, `[...document.querySelectorAll("#write-texts .seed")].map((e) => e.textContent).join()`); got != "seed 7,seed 8,seed 9" {
		b.Errorf("the texts are %s", got)
	}
	if got := eval[int](b, `new Set([...document.querySelectorAll("#write-texts .out")].map((e) => e.textContent)).size`); got != 3 {
		b.Errorf("%d different texts of three seeds", got)
	}
	if got := eval[string](b, `document.getElementById("write-together").textContent`); !strings.Contains(got, "tokens/s") {
		b.Errorf("together: %q", got)
	}
	b.fits()
}

// withShares adds shares to the patches, in turns .25, .5, .75 and 1, as if the pools were so.
func withShares(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/write" {
			w = &sharing{ResponseWriter: w}
		}
		h.ServeHTTP(w, r)
	})
}

type sharing struct{ http.ResponseWriter }

func (s *sharing) Write(data []byte) (int, error) {
	line := map[string]map[string]any{}
	if json.Unmarshal(data, &line) == nil && line["patch"] != nil {
		line["patch"]["shares"] = []float64{.25, .5, .75, 1}
		changed, err := json.Marshal(line)
		if err != nil {
			return 0, err
		}
		_, err = s.ResponseWriter.Write(append(changed, '\n'))
		return len(data), err
	}
	return s.ResponseWriter.Write(data)
}

func (s *sharing) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// sure: the switch colours the tokens by their shares, and the chips say them.
func sure(b *tab) {
	b.wait(`document.getElementById("write-model").value`)
	b.set("write-length", "40")
	b.click("write-start")
	b.wait(`document.querySelector("#write-texts [data-stop]")`)
	colours := `[...document.querySelectorAll("#write-texts .patch")[1].children].map((e) => getComputedStyle(e).backgroundColor).join()`
	plain := eval[string](b, colours)
	eval[bool](b, `(document.getElementById("write-sure").click(), true)`)
	rated := eval[[]string](b, strings.Replace(colours, ".join()", "", 1))
	different := map[string]bool{}
	for _, c := range rated {
		different[c] = true
	}
	if len(different) != 4 || strings.Join(rated, ",") == plain {
		b.Errorf("four shares have the colours %v; without the switch %s", rated, plain)
	}
	eval[bool](b, `(document.querySelectorAll("#write-texts .patch")[1].click(), true)`)
	if got := eval[string](b, `[...document.querySelectorAll("#write-texts .chip small")].map((e) => e.textContent).join()`); got != "25 %,50 %,75 %,100 %" {
		b.Errorf("the chips say %s", got)
	}
	if !eval[bool](b, `document.getElementById("write-sure-about").textContent === "" && !document.getElementById("write-scale").hidden`) {
		b.Error("the scale is hidden")
	}
}

// baseline: a model without patches has no sampler, and no shares.
func baseline(b *tab) {
	b.wait(`document.getElementById("write-model").options.length === 2`)
	b.set("write-model", "more/ar")
	if !eval[bool](b, `document.getElementById("write-sampler").disabled`) {
		b.Error("the baseline has a sampler")
	}
	b.set("write-length", "9")
	eval[bool](b, `(document.getElementById("write-sure").click(), true)`)
	b.click("write-start")
	b.wait(`document.querySelectorAll("#write-texts .patch").length === 9 && document.getElementById("write-sure-about").textContent.includes("no pools")`)
	eval[bool](b, `(document.querySelectorAll("#write-texts .patch")[1].click(), true)`)
	b.wait(`document.querySelector("#write-texts .readout").innerText.includes("token 2")`)
}

// packs: the text comes back, the slider brings errors, and the same place brings the same errors. The curve completes
// itself.
func packs(b *tab) {
	b.wait(`document.querySelectorAll("#pack-patches .cell").length > 10`)
	b.set("pack-text", "the whale swam round and round a ship of oak")
	b.wait(`document.querySelectorAll("#pack-patches .cell").length === 11 && document.querySelector("#pack-patches .dst").textContent`)
	if got := eval[string](b, `[...document.querySelectorAll("#pack-patches .src")].map((e) => e.textContent).join("")`); got != "the␣whale␣swam␣round␣and␣round␣a␣ship␣of␣oak" {
		b.Errorf("the patches are %q", got)
	}
	if eval[bool](b, `[...document.querySelectorAll("#pack-patches canvas, #pack-detail-bars")].some((c) => !c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((v) => v))`) {
		b.Error("a strip is empty")
	}
	picture := `[...document.querySelectorAll("#pack-patches .cell")].map((e) => e.querySelector(".dst").textContent + e.querySelector("canvas").toDataURL()).join()`
	clean := eval[string](b, picture)
	accuracy := `parseFloat(document.getElementById("pack-accuracy").textContent)`
	before := eval[float64](b, accuracy)
	b.set("pack-sigma", "0.97")
	b.wait(fmt.Sprintf(`%s < %g`, accuracy, before))
	noisy := eval[string](b, picture)
	if after := eval[float64](b, accuracy); after >= before || before < 90 || noisy == clean {
		b.Errorf("accuracy %g, with noise %g", before, after)
	}
	wrong := eval[int](b, `document.querySelectorAll("#pack-patches .wrong").length`)
	if got := eval[string](b, `document.getElementById("pack-wrong").textContent`); got != fmt.Sprintf("%d of 44 tokens wrong", wrong) {
		b.Errorf("%d tokens are marked, and the page says %q", wrong, got)
	}
	b.set("pack-sigma", "0")
	b.wait(picture + ` === ` + quoted(clean))
	b.set("pack-sigma", "0.97")
	b.wait(picture + ` === ` + quoted(noisy))
	eval[bool](b, `(document.getElementById("pack-sigma").focus(), true)`)
	b.do(chromedp.KeyEvent(kb.ArrowLeft))
	b.wait(`document.getElementById("pack-sigma-value").textContent === "0.96"`)
	eval[bool](b, `(document.querySelectorAll("#pack-patches .cell")[2].click(), true)`)
	b.wait(`document.getElementById("pack-detail-title").textContent.includes("patch 3: e␣sw")`)
	b.wait(`document.querySelector("#pack-curve canvas")`)
	b.set("pack-text", "")
	b.wait(`!document.getElementById("pack-error").hidden && document.querySelectorAll("#pack-patches .cell").length === 0`)
	b.set("pack-model", "ae")
	b.set("pack-text", "a ship")
	b.wait(`document.getElementById("pack-error").hidden && document.querySelectorAll("#pack-patches .cell").length === 2`)
	b.fits()
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always encoded
	}
	return string(data)
}

// runs: the list, the charts of the chosen runs, the tables.
func runs(b *tab) {
	b.wait(`document.querySelectorAll("#runs-list li").length === 3 && document.querySelector("#runs-charts canvas")`)
	chosen := eval[int](b, `document.querySelectorAll("#runs-list input:checked").length`)
	if chosen != 1 {
		b.Errorf("%d runs are chosen: want the newest kind's", chosen)
	}
	for range 3 - chosen {
		eval[bool](b, `(document.querySelector("#runs-list input:not(:checked)").click(), true)`)
	}
	b.wait(`document.querySelectorAll("#runs-latest tbody tr").length === 3 && [...document.querySelectorAll("#runs-latest td:first-of-type")].every((e) => e.textContent > "0") && document.querySelectorAll("#runs-config thead th").length === 4`)
	b.wait(`[...document.querySelectorAll("#runs-charts figure")].map((e) => e.dataset.key).join() === "loss,brier_lm,accuracy,other"`)
	table := eval[string](b, `document.getElementById("runs-config").innerText`)
	if !strings.Contains(table, "kind") || !strings.Contains(table, "latent_size") || strings.Contains(table, "logging_steps") {
		b.Errorf("the differences are %s", table)
	}
	eval[bool](b, `(document.getElementById("runs-differences").click(), true)`)
	b.wait(`document.getElementById("runs-config").innerText.includes("logging_steps")`)
	latest := eval[string](b, `document.getElementById("runs-latest").innerText`)
	if !strings.Contains(latest, "1,000") || !strings.Contains(latest, "BrierLM") {
		b.Errorf("the latest metrics are %s", latest)
	}
	picture := `document.querySelector("#runs-charts canvas").toDataURL()`
	last := eval[string](b, picture)
	for _, axis := range []string{"tokens", "minutes", "steps"} {
		eval[bool](b, `(document.querySelector("#runs input[value=`+axis+`]").click(), true)`)
		b.wait(picture + ` !== ` + quoted(last))
		last = eval[string](b, picture)
	}
	at := eval[struct{ X, Y float64 }](b, `(({x, y, width, height}) => ({x: x + width / 2, y: y + height / 2}))(document.querySelector("#runs-charts .u-over").getBoundingClientRect())`)
	b.do(chromedp.MouseEvent(chromedp.MouseMoved, at.X, at.Y))
	b.wait(`document.querySelector("#runs-charts .under").textContent.includes("step ")`)
	b.fits()
}

// live: a run that is being written appears, grows, and goes back to a checkpoint; damaged lines are counted.
func live(t *testing.T, open func(t *testing.T, h http.Handler, path string) *tab) {
	dir := t.TempDir()
	b := open(t, runsOf(dir), "/#runs")
	b.wait(`document.getElementById("runs-list").textContent.includes("no runs here yet")`)
	step := func(n int, loss float64) string {
		return fmt.Sprintf(`{"kind":"step","step":%d,"loss":%g,"seconds":%d,"tokens_per_s":100}`+"\n", n, loss, n)
	}
	run := writeRun(t, dir, "new", `{"kind":"lm","model_type":"flow","max_steps":50,"batch_size":2,"block_size":8,"gradient_accumulation_steps":1}`, step(1, 9)+step(2, 8))
	b.wait(`document.querySelector("#runs-list .live") && document.getElementById("runs-latest").innerText.includes("8")`)
	eval[bool](b, `(document.querySelector("#runs-list input").focus(), document.querySelector("#runs-list input").focused = true)`)
	file, err := os.OpenFile(filepath.Join(run, "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(step(3, 7.25) + "\x00\x00\n" + `{"kind":"st`)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	b.wait(`document.getElementById("runs-latest").innerText.includes("7.25") && document.getElementById("runs-list").textContent.includes("1 damaged line")`)
	if err := os.WriteFile(filepath.Join(run, "metrics.jsonl"), []byte(step(1, 9)+step(2, 6.5)), 0o666); err != nil {
		t.Fatal(err)
	}
	b.wait(`document.getElementById("runs-latest").innerText.includes("6.5") && document.getElementById("runs-list").textContent.includes("step 2 of 50")`)
	if !eval[bool](b, `document.activeElement.focused`) {
		b.Error("the focus is lost while the run trains")
	}
	b.do(chromedp.Click(chromedp.CSS("nav a[href='#write']")), chromedp.Click(chromedp.CSS("nav a[href='#runs']")))
	writeRun(t, dir, "other", `{"kind":"lm","batch_size":1`, step(1, 3))
	b.wait(`document.getElementById("runs-list").textContent.includes("config.json cannot be read")`)
	if err := os.RemoveAll(run); err != nil {
		t.Fatal(err)
	}
	b.wait(`document.querySelectorAll("#runs-list li").length === 1 && document.querySelectorAll("#runs-latest tbody tr").length === 0`)
}

// phone: nothing is wider than the window, on any page, and the colours follow the scheme.
func phone(b *tab, dark bool) {
	b.wait(`document.getElementById("write-model").value`)
	b.fits()
	b.set("write-prompt", strings.Repeat("a long word ", 3)+strings.Repeat("x", 100))
	b.set("write-count", "2")
	b.set("write-length", "60")
	b.click("write-start")
	b.wait(`document.querySelectorAll("#write-texts [data-stop]").length === 2`)
	eval[bool](b, `(document.querySelector("#write-texts .patch").click(), true)`)
	b.fits()
	b.do(chromedp.Click(chromedp.CSS("nav a[href='#pack']")))
	b.wait(`document.querySelectorAll("#pack-patches .cell").length > 10`)
	b.set("pack-sigma", "1")
	b.wait(`document.querySelectorAll("#pack-patches .wrong").length > 3`)
	b.fits()
	b.do(chromedp.Click(chromedp.CSS("nav a[href='#runs']")))
	b.wait(`document.querySelector("#runs-charts canvas")`)
	b.fits()
	if small := eval[string](b, `[...document.querySelectorAll("button, select, input:not([role=switch], [type=radio], [type=checkbox])")]
		.filter((e) => e.offsetParent && e.getBoundingClientRect().height < 24).map((e) => e.id).join()`); small != "" {
		b.Errorf("too small for a finger: %s", small)
	}
	light := eval[int](b, `Number(getComputedStyle(document.body).backgroundColor.match(/\d+/)[0])`)
	if dark != (light < 60) || dark == (light > 200) {
		b.Errorf("dark %t: the background's red is %d", dark, light)
	}
	if unnamed := eval[string](b, `[...document.querySelectorAll("input, select, textarea, button")]
		.filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label"))).map((e) => e.id || e.outerHTML).join()`); unnamed != "" {
		b.Errorf("fields without a name: %s", unnamed)
	}
}
