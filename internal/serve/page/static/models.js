// The choice of a model.

import { element } from "./element.js";

const titles = { ae: "autoencoder", lm: "language model", ar: "token-level baseline" };

// offer fills a list with the models that can do what is asked. changed is called with the one that is chosen. It returns
// the sentence to show where there is none.
export function offer(select, about, models, can, changed) {
  const able = models.filter((m) => !m.error && can(m));
  select.replaceChildren(...able.map((m) => element("option", { value: m.name }, m.name)));
  for (const m of models.filter((m) => m.error)) select.append(element("option", { disabled: true, title: m.error }, `${m.name} (cannot be read)`));
  const show = () => {
    const m = able.find((m) => m.name === select.value);
    if (!m) return;
    const parts = [titles[m.kind] + (m.head ? ", " + m.head + " head" : "")];
    if (m.latent_size) parts.push(`${m.patch_size} tokens a patch`, `vectors of ${m.latent_size}`);
    about.textContent = parts.join(" · ");
    changed(m);
  };
  select.addEventListener("change", show);
  show();
  select.disabled = able.length === 0;
  const broken = models.find((m) => m.error);
  return able.length ? "" : broken ? `${broken.name}: ${broken.error}` : "";
}
