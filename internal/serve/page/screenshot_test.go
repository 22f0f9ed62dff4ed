package page_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/calm-go/calm/internal/serve/page"
)

// TestScreenshots takes the pictures of docs/page.md. It runs only where CALM_SCREENSHOTS names the directory to put them,
// and CALM_SCREENSHOT_RUNS a directory of runs that are worth a picture; docs/page.md says how to make both.
func TestScreenshots(t *testing.T) {
	out, dir := os.Getenv("CALM_SCREENSHOTS"), os.Getenv("CALM_SCREENSHOT_RUNS")
	if out == "" || dir == "" {
		t.Skip("CALM_SCREENSHOTS and CALM_SCREENSHOT_RUNS are not set")
	}
	out, err := filepath.Abs(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(dir))
	dir = filepath.Base(dir) // so that the picture has no path of this machine
	browser := startBrowser(t)
	l := newLibrary(t, dir, "flow", "energy", "ae")
	h := page.New(page.Options{Models: l.list, Acquire: l.acquire, Runs: dir})
	open := func(path string, width, height int64, dark bool) *tab {
		return openTab(t, browser, h, path, width, height, dark)
	}
	write := func(b *tab, texts string) {
		b.wait(`document.getElementById("write-model").value`)
		b.set("write-prompt", "Call me ")
		b.set("write-count", texts)
		b.set("write-length", "240")
		b.set("write-temperature", "0.5")
		b.click("write-start")
		b.wait(`document.querySelectorAll("#write-texts [data-stop]").length == ` + texts)
		eval[bool](b, `(document.querySelectorAll("#write-texts .card").forEach((c) => c.querySelectorAll(".patch")[7].click()), true)`)
	}
	pack := func(b *tab, sigma string) {
		b.wait(`document.querySelectorAll("#pack-patches .cell").length > 20`)
		b.set("pack-sigma", sigma)
		eval[bool](b, `(document.querySelectorAll("#pack-patches .cell")[9].click(), true)`)
		b.wait(`document.querySelectorAll("#pack-patches .wrong").length > 0`)
	}
	runs := func(b *tab) {
		b.wait(`document.querySelectorAll("#runs-charts canvas").length > 2`)
		eval[bool](b, `(document.getElementById("runs-late").click(), true)`)
	}
	shoot := func(b *tab, name string) {
		b.do(chromedp.Sleep(3 * time.Second)) // the rest of the curves
		data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(out, name), data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b := open("/#write", 1240, 800, false)
	write(b, "2")
	shoot(b, "page-write.png")
	b = open("/#pack", 1240, 860, false)
	pack(b, "0.62")
	shoot(b, "page-pack.png")
	b = open("/#runs", 1240, 1240, false)
	runs(b)
	shoot(b, "page-runs.png")
	b = open("/#write", 390, 844, false)
	write(b, "1")
	eval[bool](b, `(document.querySelector("#write .toolbar").scrollIntoView(), true)`)
	shoot(b, "page-phone.png")
	b = open("/#pack", 1240, 860, true)
	pack(b, "0.62")
	shoot(b, "page-dark.png")
}
