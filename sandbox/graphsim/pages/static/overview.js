// The overview: buttons make calls of the control API, and the parts marked as live are fetched again.
"use strict";

const LOOK_EVERY_MS = 1500;

const SENTENCES = {
  lose: () => "The next notification of a change will be lost; only a sweep can find that mail.",
  forward: (answer) => `All clocks of this world moved 15 minutes ahead. It is ${answer.now.slice(11, 16)} UTC.`,
  revoke: (answer) => `The consent of ${answer.address} is revoked: its tokens are refused, and it lost ${answer.subscriptions_removed} subscription${answer.subscriptions_removed === 1 ? "" : "s"}.`,
  pause: (answer, whose) => `${whose} is answered 429 with Retry-After for 10 minutes.`,
  resume: (answer, whose) => `${whose} is answered again. Whoever was told to wait may still do so.`,
};

const say = (text) => { document.getElementById("said").textContent = text; };

async function call(button) {
  const { method, path, body } = JSON.parse(button.dataset.call);
  try {
    const response = await fetch(`/__control/${path}`, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error || "That did not work.");
    say(SENTENCES[button.dataset.testid](answer, button.dataset.whose));
    await refresh();
  } catch (problem) {
    say(problem.message);
  }
}

// Replace what has changed, and keep the keyboard focus on the same button, or on another of the mailbox when it is gone.
async function refresh() {
  const response = await fetch("/overview");
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const live of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${CSS.escape(live.dataset.live)}"]`);
    if (!next || next.innerHTML === live.innerHTML) continue;
    const focused = live.contains(document.activeElement) ? document.activeElement.dataset : {};
    live.replaceChildren(...next.childNodes);
    if (focused.key) (live.querySelector(`[data-key="${CSS.escape(focused.key)}"]`) || live.querySelector(`[data-whose="${CSS.escape(focused.whose)}"]:last-child`))?.focus();
  }
}

async function watch() {
  try {
    await refresh();
  } catch { /* the simulator is restarting: ask again later */ }
  setTimeout(watch, LOOK_EVERY_MS);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-call]");
  if (button) call(button);
});
setTimeout(watch, LOOK_EVERY_MS);
