// Pages that show what others do. The server says that something changed; the parts marked data-live are then fetched
// anew, or the whole page is. Without this, or where it fails, the Refresh button does the same.
const source = () => document.querySelector("[data-events]");
const announce = (words) => document.querySelectorAll("[data-live-status]").forEach((line) => { line.textContent = words; });
let stream, timer, refreshing;

const parts = () => [...document.querySelectorAll("[data-live]")];
const votes = (part) => part.querySelector("[name=digest]");

// Something of the reader's own in a part keeps it as it is.
const isTouched = (part) => part.contains(document.activeElement) || [...part.querySelectorAll("input, textarea, select")]
  .some((field) => field.type !== "hidden" && field.value !== field.defaultValue && field.value !== "");

async function refresh() {
  if (refreshing) return;
  refreshing = true;
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    // To the sign-in, which knows why: this answer has taken the cookies away.
    if (answer.redirected) return location.assign(answer.url);
    if (answer.status === 401) return location.reload();
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [vote, then] = [document.getElementById("vote"), next.getElementById("vote")];
    if (vote && then && (vote.dataset.digest !== then.dataset.digest || (votes(then) && !votes(vote)))) {
      // What was loaded is not what would be voted on, and not all of the page is data-live: a form to vote comes with a
      // whole page or not at all. Someone who reads or writes decides when.
      stop();
      if (!votes(vote) && !parts().some(isTouched)) return location.reload();
      document.getElementById("stale").hidden = false;
      vote.querySelectorAll("button[value=approve]").forEach((button) => { button.disabled = true; });
      return;
    }
    let changed = false;
    for (const part of parts()) {
      const fresh = next.getElementById(part.id);
      if (!fresh) continue;
      for (const name of ["seen", "events"]) if (fresh.dataset[name]) part.dataset[name] = fresh.dataset[name];
      if (fresh.innerHTML === part.dataset.was || isTouched(part)) continue;
      const html = fresh.innerHTML;
      changed ||= part.dataset.was !== undefined;
      part.replaceChildren(...document.importNode(fresh, true).childNodes);
      part.dataset.was = html;
      document.dispatchEvent(new CustomEvent("shown", { detail: part }));
    }
    document.title = next.title;
    if (changed) announce("This page has changed.");
  } catch { /* The server is away; the next stream says when it is back. */ } finally {
    refreshing = false;
  }
}

function stop() {
  clearTimeout(timer);
  stream?.close();
  stream = undefined;
}

function listen() {
  stop();
  const part = source();
  if (!part) return;
  const address = new URL(part.dataset.events, location.href);
  address.searchParams.set("seen", part.dataset.seen);
  stream = new EventSource(address);
  let began = Date.now();
  stream.addEventListener("change", refresh);
  stream.addEventListener("over", () => location.reload());
  stream.onopen = () => { began = Date.now(); };
  // A stream ends after a minute by itself. One that ends at once is asked for more slowly; the page says whether the
  // session is over.
  stream.onerror = () => {
    const wasThere = Date.now() - began > 5000;
    stop();
    timer = setTimeout(listen, wasThere ? 500 : 15000);
    if (!wasThere) refresh();
  };
}

if (source() && "EventSource" in window) {
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
  addEventListener("pagehide", stop);
  if (!document.hidden) listen();
}

// The SHA-256 of a file, made here.
document.querySelectorAll("[data-digests]").forEach((input) => {
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file || !crypto.subtle) return;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const field = document.getElementById(input.dataset.digests);
    field.value = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    input.value = "";
    field.focus();
  });
});
