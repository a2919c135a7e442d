// Keeps pages fresh, fits message frames to their text, and opens Postbraid's settings page in its frame.
"use strict";

const LOOK_EVERY_MS = 1000;
const sources = new WeakMap();

// The HTML that the server sent for an element, before this script set a frame's height; comparing it shows changes.
function remember(element) {
  if (!sources.has(element)) sources.set(element, element.outerHTML);
  return sources.get(element);
}

// Keeps the keyboard focus on the same link or button when an element is replaced, and open details open.
function keepPlace(old, node) {
  const stops = (root) => [...root.querySelectorAll("a, button, summary")];
  const place = stops(old).indexOf(document.activeElement);
  const open = [...old.querySelectorAll("details")].map((details) => details.open);
  return () => {
    node.querySelectorAll("details").forEach((details, number) => { details.open = open[number]; });
    if (place >= 0) stops(node)[place]?.focus({ preventScroll: true });
  };
}

// What somebody is writing outlives a form that goes away and comes back: a connection may end meanwhile.
function keepText() {
  const text = document.getElementById("reply-text");
  if (text) keepText.words = text.value;
}

function restoreText() {
  const text = document.getElementById("reply-text");
  if (text && !text.value && keepText.words) text.value = keepText.words;
}

// Replace only children that changed, so that frames are not loaded again and open details stay open.
function merge(live, fresh) {
  const kept = new Map([...live.children].map((child) => [child.dataset.key, child]));
  let place = live.firstElementChild;
  for (const candidate of [...fresh.children]) {
    const old = kept.get(candidate.dataset.key);
    const node = old && remember(old) === candidate.outerHTML ? old : document.adoptNode(candidate);
    if (node !== old) {
      remember(node);
      fitFrames(node);
    }
    const restore = old && node !== old ? keepPlace(old, node) : null;
    if (restore && place === old) place = old.nextElementSibling;
    if (restore) old.remove();
    if (node === place) place = place.nextElementSibling;
    else live.insertBefore(node, place);
    restore?.();
    kept.delete(candidate.dataset.key);
  }
  for (const gone of kept.values()) gone.remove();
}

async function refresh() {
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  if (document.querySelector("[data-until-open]") && !fresh.querySelector("[data-until-open]")) {
    location.reload(); // the user can send again, and has written nothing here yet
    return;
  }
  const rooms = fresh.querySelectorAll("[data-live]");
  keepText();
  document.querySelectorAll("[data-live]").forEach((live, number) => {
    if (rooms[number]) merge(live, rooms[number]);
  });
  restoreText();
  followNewest();
}

async function watch() {
  let seen = document.body.dataset.version;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    try {
      const { version } = await (await fetch("/api/version")).json();
      if (version !== seen) {
        await refresh();
        seen = version;
      }
    } catch {
      // The CRM is being restarted: look again in a second.
    }
  }
}

function fit(frame) {
  const page = frame.contentDocument;
  if (!page || !page.body) return;
  frame.style.height = `${Math.ceil(page.documentElement.getBoundingClientRect().height)}px`;
  followNewest();
}

// A conversation that is scrolled to its end stays there when it grows; otherwise its position is kept.
const messages = document.querySelector(".messages");
let atEnd = true;

function followNewest() {
  if (messages && atEnd) messages.scrollTop = messages.scrollHeight;
}

function fitFrames(root) {
  for (const frame of root.querySelectorAll("iframe.body")) {
    frame.addEventListener("load", () => {
      fit(frame);
      new ResizeObserver(() => fit(frame)).observe(frame.contentDocument.documentElement);
    });
    fit(frame);
  }
}

async function openSettings(button) {
  if (button.ariaBusy === "true") return;
  const problem = document.getElementById("frame-problem");
  const progress = document.getElementById("frame-progress");
  problem.hidden = true;
  progress.textContent = "Opening the settings…";
  button.ariaBusy = "true"; // disabling it would remove the focus
  try {
    const response = await fetch(button.dataset.openSettings, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user_id: button.dataset.userId }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    showFrame(answer.url);
    button.setAttribute("aria-expanded", "true");
  } catch (refused) {
    problem.textContent = refused.message || "The settings cannot be opened now.";
    problem.hidden = false;
  }
  progress.textContent = "";
  button.ariaBusy = "false";
}

function showFrame(url) {
  const old = document.getElementById("settings-frame");
  const frame = old.cloneNode(); // a new frame: a link that differs only after the # would not be loaded again
  frame.src = url;
  old.replaceWith(frame);
  document.getElementById("frame-room").hidden = false;
}

// Postbraid's page tells its height; believed only of the page in that frame.
window.addEventListener("message", ({ data, origin, source }) => {
  const frame = document.getElementById("settings-frame");
  if (!frame || source !== frame.contentWindow || origin !== new URL(frame.src).origin) return;
  if (data?.type !== "postbraid:height" || !Number.isInteger(data.height) || data.height < 1) return;
  frame.style.height = `${Math.min(data.height, 5000) + 2}px`; // with its border
});

document.querySelectorAll("[data-live] > *").forEach(remember);
fitFrames(document);
document.querySelectorAll("[data-open-settings]").forEach((button) => {
  button.addEventListener("click", () => openSettings(button));
});
// For the whole document: a form may appear later, when a connection or a thread is there again.
document.addEventListener("change", ({ target }) => {
  if (!target.matches(".attach input")) return;
  const names = [...target.files].map((file) => file.name).join(", ");
  target.parentElement.firstChild.textContent = names || "Attach files";
});
document.addEventListener("submit", ({ target }) => {
  if (target.matches("form.reply-form, form.compose")) target.querySelector("button.button").disabled = true;
});
if (messages) {
  messages.addEventListener("scroll", () => {
    atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
  });
}
followNewest();
watch();
