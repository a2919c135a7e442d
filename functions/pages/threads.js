// The threads of the connected mailbox, and the person's say over each of them.
import { ago, putAddress } from "./words.js";

const CANNOT_LOAD = "The threads cannot be loaded now. Close and open this list to try again.";
const CANNOT_CHANGE = "This thread cannot be changed now. Try again in a minute.";
// Threads of a connection that has ended can be neither stopped nor resumed here.
const VERBS = {
  syncing: ["stop", "Stop syncing"],
  opening: ["stop", "Stop syncing"],
  stopped: ["resume", "Resume"],
};

const room = document.getElementById("threads");
const list = document.getElementById("thread-list");
const more = document.getElementById("more-threads");
const empty = document.getElementById("no-threads");
const problemPlace = document.getElementById("thread-problem");

let call = null;
let isOver = null;
let next = null;
let shown = 0;
let visit = 0; // counts up when the page shows another user's settings

// `ask` calls our own API; `whenOver` is told of an answer that says the session is over.
export function setUp(ask, whenOver) {
  call = ask;
  isOver = whenOver;
  room.addEventListener("toggle", () => {
    if (room.open) load("");
  });
}

// Everything of the former user leaves the page.
export function clear() {
  visit += 1;
  room.open = false;
  empties();
}

function empties() {
  list.replaceChildren();
  next = null;
  shown = 0;
  more.hidden = true;
  empty.hidden = true;
  problem("");
}

function problem(text) {
  problemPlace.textContent = text;
  problemPlace.hidden = !text;
}

async function load(after) {
  const mine = visit;
  if (!after) empties();
  const first = shown;
  try {
    const page = await call("GET", `session/threads${after ? `?after=${encodeURIComponent(after)}` : ""}`);
    if (mine !== visit) return;
    list.append(...page.items.map(row));
    next = page.next;
    more.hidden = !next;
    empty.hidden = shown > 0;
    problem("");
    if (after) list.children[first]?.querySelector("button")?.focus(); // "Show more" may be gone
  } catch (refused) {
    if (mine === visit && !isOver(refused)) problem(CANNOT_LOAD);
  }
}

export const showMore = () => load(next || "");

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(thread) {
  shown += 1;
  const item = element("li", "", "thread");
  item.dataset.id = thread.id;
  item.dataset.testid = "thread";
  item.dataset.status = thread.status;
  const subject = element("strong", thread.subject || "(no subject)");
  subject.id = `thread-subject-${shown}`;
  const words = element("div", "", "thread-words");
  const people = element("span", "", "dim");
  putAddress(people, thread.people.join(", "));
  words.append(subject, people, element("span", standing(thread), "dim"));
  item.append(words);
  if (thread.status in VERBS) item.append(choice(thread, subject.id));
  return item;
}

// Stop syncing, or Resume; said aloud with the thread's subject.
function choice(thread, subjectId) {
  const [verb, words] = VERBS[thread.status];
  const button = element("button", words);
  button.type = "button";
  button.dataset.action = "thread";
  button.dataset.verb = verb;
  button.setAttribute("aria-describedby", subjectId);
  return button;
}

function standing(thread) {
  if (thread.status === "stopped") {
    const by = thread.stopped_by === "crm" ? " by your CRM" : "";
    return `Stopped${by}${thread.stopped_at ? ` ${ago(thread.stopped_at)}` : ""}`;
  }
  if (thread.status === "opening") return "Its first mail has not left yet";
  return thread.last_activity_at ? `Last message ${ago(thread.last_activity_at)}` : "Syncing";
}

// Stop or resume: the answer is the thread as the list has it.
export async function change(button) {
  const mine = visit;
  const item = button.closest("li");
  problem("");
  try {
    const thread = await call("POST", `session/threads/${encodeURIComponent(item.dataset.id)}/${button.dataset.verb}`, {});
    if (mine !== visit) return;
    const fresh = row(thread);
    const hadFocus = item.contains(document.activeElement);
    item.replaceWith(fresh);
    if (hadFocus) fresh.querySelector("button")?.focus();
  } catch (refused) {
    if (mine === visit && !isOver(refused)) problem(CANNOT_CHANGE);
  }
}
