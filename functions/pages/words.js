// What the settings page says: words for a status, for a sign-in that came to nothing, and for times.

const UNCHANGED = "Nothing was changed.";

export const STATUS = {
  connected: "Connected",
  degraded: "Connected, with delays",
  reconnect_required: "Sign-in needed",
  disconnected: "Not connected",
  not_connected: "Not connected",
};

export const FAILURES = {
  cancelled: `The sign-in was cancelled. ${UNCHANGED}`,
  abandoned: `The sign-in was not finished. ${UNCHANGED}`,
  admin_consent_required: `Your organisation lets only administrators approve this. Ask yours, then connect again: the other window has a link for them. ${UNCHANGED}`,
  organisation_not_allowed: `Mailboxes of this organisation cannot be connected here. ${UNCHANGED}`,
  scopes_missing: `Not everything was approved that the sync needs. Connect again and approve all of it. ${UNCHANGED}`,
  mailbox_taken: `This mailbox cannot be connected here. ${UNCHANGED}`,
  no_mailbox: `Microsoft offers no mailbox for this account that a program may use. ${UNCHANGED}`,
  failed: `The sign-in did not complete. ${UNCHANGED} Try again in a minute.`,
};

const NOTHING_TO_DO = "Nothing is lost, and there is nothing for you to do.";

// Why mail is late or waits, by the reason's code.
const REASONS = {
  consent_refused: "Microsoft no longer accepts the approval that you gave, perhaps because your password changed.",
  right_denied: "Microsoft denies something that you approved. If signing in again does not help, ask your administrator.",
  late_notifications: `Microsoft tells us late about new mail at the moment, so answers may take up to 15 minutes to appear. ${NOTHING_TO_DO}`,
  subscription_lost: `Microsoft does not tell us about new mail at the moment, so answers may take up to 15 minutes to appear. ${NOTHING_TO_DO}`,
  sweep_overdue: `Your mailbox could not be looked through for over an hour, so answers may come late. ${NOTHING_TO_DO}`,
  microsoft_does_not_answer: `Microsoft has not answered for an hour. Mail is sent and fetched as soon as it does. ${NOTHING_TO_DO}`,
  mailbox_unavailable: "Microsoft does not find your mailbox at the moment. Mail is fetched when it is back; if that takes long, ask your administrator.",
};
const WITHOUT_REASON = { degraded: REASONS.late_notifications, reconnect_required: REASONS.consent_refused };

export function reasonWords(status, reason) {
  if (!reason) return WITHOUT_REASON[status] || "";
  return REASONS[reason.code] || reason.detail;
}

export const CANNOT_SIGN_IN = "Microsoft's sign-in cannot be opened now. Try again in a minute.";
export const CANNOT_DISCONNECT = "The window that asks cannot be opened now. Try again in a minute.";
export const NOT_FINISHED = FAILURES.abandoned;

const UNITS = [
  ["day", 24 * 60 * 60],
  ["hour", 60 * 60],
  ["minute", 60],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function day(text) {
  return new Date(text).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
}

// "2 minutes ago"; what lies weeks back is a date.
export function ago(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text).getTime()) / 1000);
  if (seconds > 14 * 24 * 60 * 60) return `on ${day(text)}`;
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return RELATIVE.format(-Math.floor(seconds / length), unit);
  }
  return "just now";
}

// Puts an address into a place so that a narrow line ends after a dot or the @, not in the middle of a word.
export function putAddress(place, text) {
  const parts = text.split(/(?<=[@.])/);
  place.replaceChildren(...parts.flatMap((part, number) => (number ? [document.createElement("wbr"), part] : [part])));
}

// What the daily audit found; nothing before the first one.
export function completenessWords(found, product) {
  if (!found || !found.in_mailbox) return "";
  const { told, in_mailbox: held } = found;
  const mails = held === 1 ? "the one mail" : `all ${held} mails`;
  const known = told >= held ? mails : `${told} of ${held} mails`;
  const rest = told >= held ? "" : " The rest is looked at again by itself.";
  const without = found.not_synced ? ` ${held === 1 ? "It" : `${found.not_synced} of them`} did not sync.` : "";
  return `Checked ${ago(found.audited_at)}: ${product} knows ${known} of your active threads.${without}${rest}`;
}

// Absent: the server does not say; null: nothing has synced yet.
export function lastSynced(at) {
  if (at === undefined) return "";
  return at === null ? "No mail has synced yet." : `Last mail synced ${ago(at)}.`;
}
