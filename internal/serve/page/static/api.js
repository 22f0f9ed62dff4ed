// The endpoints of the server, and its API key where it asks for one.

const keyName = "calm.key";

function headers(body) {
  const list = {};
  const key = sessionStorage.getItem(keyName);
  if (key) list.Authorization = "Bearer " + key;
  if (body !== undefined) list["Content-Type"] = "application/json";
  return list;
}

let asking = null; // one question at a time, whoever asks

// askKey shows the question for the API key until it is answered.
function askKey(wrong) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const value = document.getElementById("key-value");
    document.getElementById("key-about").textContent =
      wrong ? "The server refused this key." : "It is kept until this tab is closed.";
    value.value = "";
    dialog.oncancel = (e) => e.preventDefault();
    document.getElementById("key-form").onsubmit = (e) => {
      e.preventDefault();
      sessionStorage.setItem(keyName, value.value);
      dialog.close();
      asking = null;
      resolve();
    };
    dialog.showModal();
    value.focus();
  });
  return asking;
}

// call sends a request, with a body as JSON if there is one. A failure is an Error with the server's sentence.
export async function call(path, { body, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(keyName);
    let response;
    try {
      response = await fetch("api/" + path, {
        method: body === undefined ? "GET" : "POST", signal, headers: headers(body),
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (e) {
      if (e.name === "AbortError") throw e;
      throw new Error("The server cannot be reached.");
    }
    if (response.ok) return response;
    if (response.status === 401) {
      if (key === sessionStorage.getItem(keyName)) await askKey(key !== null);
      continue;
    }
    throw new Error(await sentence(response));
  }
}

async function sentence(response) {
  let text = "";
  try {
    const { error } = await response.json();
    text = (typeof error === "string" ? error : error?.message) ?? "";
  } catch { /* the answer is not JSON */ }
  return text || `The server answered with status ${response.status}.`;
}

// get returns what an endpoint answers.
export async function get(path, options) {
  return (await call(path, options)).json();
}

// lines yields the lines of JSON of an answer as they come.
export async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const all = (rest + value).split("\n");
      rest = all.pop();
      for (const line of all) if (line) yield JSON.parse(line);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
