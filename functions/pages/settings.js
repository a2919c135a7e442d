// The settings page: exchange the link's token, show the connection, lead to Microsoft in a window of its own.
"use strict";

const WORDS = {
  connected: "Connected",
  degraded: "Connected, with delays",
  reconnect_required: "Sign-in needed",
  disconnected: "Not connected",
  not_connected: "Not connected",
};
const POLL_MS = 1500;
const WAIT_FOR_MS = 10 * 60 * 1000; // as long as a sign-in under way is kept

let linkToken = "";
let session = "";
let known = null;
let waiting = null; // {before, until} while the other window is open

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
  });
  if (!response.ok) throw new Problem(response.status);
  return response.json();
}

function show(view) {
  const left = document.activeElement.closest("[data-view]");
  document.body.dataset.state = view;
  for (const section of document.querySelectorAll("[data-view]")) {
    section.hidden = section.dataset.view !== view;
    if (!section.hidden && left && left !== section) stepInto(section);
  }
}

// Whoever pressed a button that is hidden now goes on in what took its place, not at the top of the page.
function stepInto(section) {
  section.tabIndex = -1;
  section.focus();
}

function fill(name, text) {
  for (const slot of document.querySelectorAll(`[data-fill="${name}"]`)) slot.textContent = text;
}

function notice(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.hidden = !text;
}

function showNames(user, tenant) {
  document.getElementById("whose").textContent = [user, tenant].filter(Boolean).join(" · ");
  if (tenant) fill("tenant", tenant);
}

function showConnection() {
  const status = known.status in WORDS ? known.status : "not_connected";
  const chip = document.getElementById("chip");
  chip.textContent = WORDS[status];
  chip.dataset.status = status;
  chip.hidden = false;
  showNames(known.crm_user.display_name, known.tenant.name);
  fill("address", known.mailbox ? known.mailbox.address : "");
  fill("since", known.connected_at ? day(known.connected_at) : "");
  show(waiting ? "connecting" : status);
}

function day(text) {
  return new Date(text).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
}

async function look() {
  known = await call("GET", "session/connection");
  if (waiting && isNewConnection(waiting.before, known)) {
    waiting = null;
    notice("");
  }
  showConnection();
}

// Connected in the other window: either it was not connected before, or this is another consent.
function isNewConnection(before, now) {
  if (now.status !== "connected" && now.status !== "degraded") return false;
  const was = before.status === "connected" || before.status === "degraded";
  return !was || before.connected_at !== now.connected_at || before.mailbox.address !== now.mailbox.address;
}

async function connect() {
  notice("");
  try {
    const { ticket } = await call("POST", "session/start-tickets", {});
    const form = document.getElementById("start");
    form.elements.ticket.value = ticket;
    form.submit(); // still within the click's activation, so it may open a window
    form.elements.ticket.value = "";
  } catch (problem) {
    explain(problem, "Microsoft's sign-in cannot be opened now. Try again in a minute.");
    return;
  }
  const wasWaiting = waiting !== null;
  waiting = { before: waiting ? waiting.before : known, until: Date.now() + WAIT_FOR_MS };
  showConnection();
  if (!wasWaiting) await waitForConnection();
}

async function waitForConnection() {
  while (waiting) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (waiting && Date.now() > waiting.until) {
      stop("The sign-in was not finished. Nothing was changed.");
      return;
    }
    try {
      if (waiting) await look();
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

function explain(problem, otherwise) {
  if (problem.status === 401) {
    waiting = null;
    session = "";
    document.getElementById("chip").hidden = true;
    show("session_over");
  } else if (otherwise) {
    notice(otherwise);
  } else {
    show("unreachable");
  }
}

// A link's token arrives after the #, which no server or referrer sees, and leaves the address bar at once.
function takeToken() {
  linkToken = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
}

async function open() {
  show("opening");
  try {
    if (!session) {
      if (!linkToken) {
        show("link_unusable");
        return;
      }
      const opened = await call("POST", "session", { token: linkToken });
      session = opened.session_token;
      showNames(opened.user.display_name, opened.tenant.name);
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
    if (problem.status === 401) explain(problem);
  }
}

const ACTIONS = { connect, again: open, stop: () => stop() };
document.body.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-action]");
  if (!button || button.ariaBusy === "true") return;
  button.ariaBusy = "true"; // not disabled: that would take the focus away
  const done = ACTIONS[button.dataset.action]();
  setTimeout(() => { button.ariaBusy = "false"; }, 800); // a double click is one click
  await done;
});
document.addEventListener("visibilitychange", lookAgain);
document.body.classList.toggle("framed", window.self !== window.top);
takeToken();
open();
