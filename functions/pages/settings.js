// The settings page: exchange the link's token, show the connection, lead to Microsoft in a window of its own.
import * as threads from "./threads.js";
import { CANNOT_DISCONNECT, CANNOT_SIGN_IN, FAILURES, NOT_FINISHED, STATUS } from "./words.js";
import { completenessWords, day, lastSynced, putAddress, reasonWords } from "./words.js";

const POLL_MS = 1500;
const WAIT_FOR_MS = 10 * 60 * 1000; // as long as a sign-in under way is kept
const REFRESH_MS = 60 * 1000;
const IDLE_MS = 10 * 60 * 1000; // then nobody is there, and the session may come to its end

let linkToken = "";
let session = "";
let known = null;
let waiting = null; // {for, before, until} while the other window is open
let origins = []; // registered for this tenant: who may learn the page's height
let leaving = new AbortController(); // ends the calls of a session that the page gives up
let toldHeight = 0;
let touchedAt = Date.now();

class Problem extends Error {
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

// JSON over our own API. The session's token lives in this page's memory only: no other site can send it.
async function call(method, path, body) {
  const headers = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  if (session) headers.authorization = `Bearer ${session}`;
  const response = await fetch(`/api/${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
    signal: leaving.signal,
  });
  if (!response.ok) throw new Problem(response.status);
  return response.json();
}

const has = (words, word) => words.split(" ").includes(word);

function show(view) {
  const left = document.activeElement.closest("[data-view]");
  document.body.dataset.state = view;
  for (const section of document.querySelectorAll("[data-view]")) {
    section.hidden = !has(section.dataset.view, view);
    if (!section.hidden && left && left !== section) stepInto(section);
  }
  for (const part of document.querySelectorAll("[data-only]")) part.hidden = part.dataset.only !== view;
  for (const part of document.querySelectorAll("[data-with]")) part.hidden = !has(part.dataset.with, view);
}

// Whoever pressed a button that is hidden now goes on in what took its place, not at the top of the page.
function stepInto(section) {
  section.tabIndex = -1;
  section.focus();
}

function fill(name, text) {
  for (const slot of document.querySelectorAll(`[data-fill="${name}"]`)) {
    if (slot.textContent === text) continue;
    if (name === "address") putAddress(slot, text);
    else slot.textContent = text;
  }
}

function notice(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.hidden = !text;
}

// The names of user, CRM and account; the address to lead back to is one that the operator registered.
function showNames(user, tenant) {
  const names = new Set([user, tenant.product_name, tenant.name].filter(Boolean));
  document.getElementById("whose").textContent = [...names].join(" · ");
  fill("product", tenant.product_name || tenant.name);
  const back = document.getElementById("back");
  back.hidden = !tenant.return_url;
  if (tenant.return_url) back.href = tenant.return_url;
}

function showConnection() {
  const status = known.status in STATUS ? known.status : "not_connected";
  const chip = document.getElementById("chip");
  if (chip.textContent !== STATUS[status]) chip.textContent = STATUS[status];
  chip.dataset.status = status;
  chip.hidden = false;
  showNames(known.crm_user.display_name, known.tenant);
  fill("address", known.mailbox ? known.mailbox.address : "");
  fill("since", known.connected_at ? day(known.connected_at) : "");
  fill("reason", reasonWords(status, known.reason));
  showTimes();
  show(waiting ? waiting.for : status);
}

function showTimes() {
  if (!known) return;
  fill("synced", lastSynced(known.last_synced_at));
  fill("complete", completenessWords(known.completeness, known.tenant.product_name || known.tenant.name));
}

async function look() {
  known = await call("GET", "session/connection");
  if (waiting && isDone(waiting, known)) {
    waiting = null;
    notice("");
  } else if (waiting && failure(waiting, known.sign_in)) {
    stop(failure(waiting, known.sign_in));
    return;
  }
  showConnection();
}

// What the person reads here as soon as the other window has come to nothing; empty while it has not.
function failure(waited, signIn) {
  const isOfThisWindow = waited.for === "connecting" && signIn && !isSameSignIn(waited.before.sign_in, signIn);
  return isOfThisWindow ? FAILURES[signIn.outcome] || "" : "";
}

function isSameSignIn(before, now) {
  return Boolean(before) && before.at === now.at && before.outcome === now.outcome;
}

function isDone(waited, now) {
  if (waited.for === "connecting") {
    const confirmed = now.sign_in && now.sign_in.outcome === "confirmed" && !isSameSignIn(waited.before.sign_in, now.sign_in);
    return confirmed || isNewConnection(waited.before, now);
  }
  return now.status === "disconnected" || now.status === "not_connected";
}

// Connected in the other window: either it was not connected before, or this is another consent.
function isNewConnection(before, now) {
  if (now.status !== "connected" && now.status !== "degraded") return false;
  const was = before.status === "connected" || before.status === "degraded";
  return !was || before.connected_at !== now.connected_at || before.mailbox.address !== now.mailbox.address;
}

const connect = () => openWindow("connecting", "session/start-tickets", "/api/oauth/start", CANNOT_SIGN_IN);
const disconnect = () =>
  openWindow("disconnecting", "session/disconnect-tickets", "/api/disconnect/start", CANNOT_DISCONNECT);

// A ticket of this session opens a top-level window, which names whose mailbox it is about.
async function openWindow(view, tickets, address, otherwise) {
  notice("");
  try {
    const { ticket } = await call("POST", tickets, {});
    const form = document.getElementById("start");
    form.action = address;
    form.elements.ticket.value = ticket;
    form.submit(); // still within the click's activation, so it may open a window
    form.elements.ticket.value = "";
  } catch (problem) {
    explain(problem, otherwise);
    return;
  }
  const until = Date.now() + WAIT_FOR_MS;
  if (waiting) Object.assign(waiting, { for: view, until });
  else waitForConnection({ for: view, before: known, until });
  showConnection();
}

async function waitForConnection(mine) {
  waiting = mine;
  while (waiting === mine) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (waiting === mine && Date.now() > mine.until) {
      stop(mine.for === "connecting" ? NOT_FINISHED : "");
      return;
    }
    try {
      if (waiting === mine) await look();
    } catch (problem) {
      if (problem.status === 401) explain(problem);
      // Anything else may pass: look again.
    }
  }
}

function stop(text) {
  waiting = null;
  showConnection();
  notice(text || "");
}

// Whether the answer says that the session is over, or the page has left it.
function isOver(problem) {
  if (problem.status === 401) {
    forget();
    show("session_over");
  }
  return problem.status === 401 || problem.name === "AbortError";
}

function explain(problem, otherwise) {
  if (isOver(problem)) return;
  if (otherwise) notice(otherwise);
  else show("unreachable");
}

// The person's data leaves the page; whose page it was and the way back are no data of a mailbox.
function forget() {
  leaving.abort();
  leaving = new AbortController();
  session = "";
  known = null;
  waiting = null;
  for (const name of ["address", "since", "synced", "reason"]) fill(name, "");
  document.getElementById("whose").textContent = "";
  document.getElementById("chip").hidden = true;
  notice("");
  threads.clear();
}

// A link's token arrives after the #, which no server or referrer sees, and leaves the address bar at once.
function takeToken() {
  linkToken = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
}

// A fresh link in a page that is open: the old session ends and its data leaves before the new one begins.
async function openAgain() {
  if (location.hash.length < 2) return;
  takeToken();
  const old = session;
  forget();
  origins = [];
  toldHeight = 0;
  showNames("", {});
  fill("product", "your CRM");
  show("opening");
  const mine = leaving;
  if (old) {
    const headers = { authorization: `Bearer ${old}` };
    await fetch("/api/session", { method: "DELETE", headers, credentials: "omit" }).catch(() => {}); // it ends by itself
  }
  if (mine === leaving) await open();
}

async function open() {
  show("opening");
  try {
    if (!session) {
      if (!linkToken) {
        show("link_unusable");
        return;
      }
      const tenant = new URLSearchParams(location.search).get("tenant") || "";
      const opened = await call("POST", "session", { token: linkToken, tenant });
      session = opened.session_token;
      linkToken = "";
      origins = opened.tenant.frame_origins || [];
      showNames(opened.user.display_name, opened.tenant);
      tellHeight();
    }
    await look();
  } catch (problem) {
    if (!session && problem.status >= 400 && problem.status < 429) show("link_unusable");
    else explain(problem);
  }
}

async function lookAgain() {
  if (document.visibilityState !== "visible" || !session || waiting) return;
  try {
    await look();
  } catch (problem) {
    isOver(problem); // anything else may pass
  }
}

function refresh() {
  showTimes();
  if (Date.now() - touchedAt < IDLE_MS) lookAgain();
}

// To registered origins only, whoever frames the page; the browser hands it to none but the parent's own.
function tellHeight() {
  const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
  if (window.parent === window || !origins.length || height === toldHeight) return;
  toldHeight = height;
  for (const origin of origins) window.parent.postMessage({ type: "postbraid:height", height }, origin);
}

const ACTIONS = {
  connect,
  disconnect,
  again: open,
  stop: () => stop(),
  thread: (button) => threads.change(button),
  more: () => threads.showMore(),
};
document.body.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-action]");
  if (!button || button.ariaBusy === "true") return;
  button.ariaBusy = "true"; // not disabled: that would take the focus away
  const done = ACTIONS[button.dataset.action](button);
  setTimeout(() => { button.ariaBusy = "false"; }, 800); // a double click is one click
  await done;
});
for (const kind of ["pointerdown", "keydown"]) {
  document.addEventListener(kind, () => { touchedAt = Date.now(); });
}
document.addEventListener("visibilitychange", lookAgain);
window.addEventListener("hashchange", openAgain);
setInterval(refresh, REFRESH_MS);
document.body.classList.toggle("framed", window.self !== window.top);
threads.setUp(call, isOver);
new ResizeObserver(tellHeight).observe(document.body);
takeToken();
open();
