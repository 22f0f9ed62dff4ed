// The page: which of its three parts is shown.

import { get } from "./api.js";
import { byID } from "./element.js";
import * as pack from "./pack.js";
import * as runs from "./runs.js";
import * as write from "./write.js";

const pages = { write, pack, runs };
const begun = new Set();
let served; // the models, asked for once

async function show() {
  const name = Object.hasOwn(pages, location.hash.slice(1)) ? location.hash.slice(1) : "write";
  for (const other of Object.keys(pages)) byID(other).hidden = other !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = document.querySelector("nav [aria-current]").textContent + " · calm";
  if (!begun.has(name)) {
    begun.add(name);
    served ??= get("models");
    try {
      pages[name].begin(await served);
    } catch (e) {
      begun.delete(name);
      served = undefined;
      const notice = byID(name + "-error");
      notice.textContent = e.message;
      notice.hidden = false;
    }
  }
  for (const [other, page] of Object.entries(pages)) page.shown?.(other === name);
}

addEventListener("hashchange", show);
show();
