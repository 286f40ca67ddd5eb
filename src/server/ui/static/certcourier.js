// The page works without this, except where it says so. Everything here is found by data attributes.
const each = (selector, act, within = document) => within.querySelectorAll(selector).forEach(act);
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// Times in the reader's zone, UTC on hover; what is left, second by second.
const times = (within) => {
  each("time[datetime]", (time) => {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    time.title = `${time.dateTime.replace("T", " ").replace(/(\.\d+)?Z$/, "")} UTC`;
    time.textContent = zone.format(moment);
  }, within);
  each("[data-countdown]", (place) => {
    const end = new Date(place.dataset.countdown).getTime();
    place.hidden = false;
    const tick = () => {
      const left = Math.max(0, Math.round((end - Date.now()) / 1000));
      const minutes = Math.floor(left / 60);
      place.textContent = left ? `${minutes ? `${minutes} min ` : ""}${left % 60} s left` : place.dataset.over;
      place.classList.toggle("bad", !left);
      if (left) setTimeout(tick, 1000);
    };
    tick();
  }, within);
};
times(document);
document.addEventListener("shown", (event) => times(event.detail));

// What only works with a script is shown with one.
each("[data-script]", (element) => { element.hidden = false; });

// A link to a page that is also here as a dialog opens the dialog.
each("[data-opens]", (link) => {
  const dialog = document.getElementById(link.dataset.opens);
  if (!dialog?.showModal) return;
  link.addEventListener("click", (event) => { event.preventDefault(); dialog.showModal(); });
  each("[data-closes]", (button) => button.addEventListener("click", () => dialog.close()), dialog);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
});

// Copies the text of another element.
each("[data-copies]", (button) => {
  const words = button.textContent;
  button.addEventListener("click", async () => {
    const from = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(from.value ?? from.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(from);
      button.textContent = "Selected: copy it";
    }
    setTimeout(() => { button.textContent = words; }, 2500);
  });
});

// A relative link is completed by where this page is.
each("[data-completes]", (place) => { place.textContent = new URL(place.textContent, location.href).href; });

// How strong a passphrase is, roughly: its length counts most.
each("[data-strength]", (input) => {
  const meter = input.parentElement.querySelector("meter");
  input.addEventListener("input", () => {
    const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^a-zA-Z\d]/].filter((kind) => kind.test(input.value)).length;
    const bits = input.value.length * [0, 3, 3.6, 4.2, 4.8][kinds];
    meter.value = input.value.length < Number(input.dataset.strength) ? Math.min(1, bits) : Math.min(4, 1 + bits / 24);
  });
});

// What works once says so after it was pressed. The form is sent before its button is disabled.
each("[data-once]", (form) => form.addEventListener("submit", (event) => {
  if (event.submitter?.hasAttribute("formaction")) return;
  setTimeout(() => {
    each("button", (button) => { button.disabled = true; }, form);
    const said = Object.assign(document.createElement("p"), { className: "alert info", textContent: form.dataset.once });
    said.setAttribute("role", "status");
    form.after(said);
    each("[data-after]", (element) => { element.hidden = false; });
  });
}));

// The page behind a link: takes the token out of the address before anything else, looks, and shows one button.
const page = document.querySelector("[data-token-page]");
if (page) {
  const [form, input, seen] = ["[data-token-form]", "#token", "[data-seen]"].map((name) => page.querySelector(name));
  input.addEventListener("change", () => { input.value = input.value.trim().replace(/^.*#/, ""); });
  const look = async () => {
    const token = location.hash.slice(1);
    if (!token) return;
    history.replaceState(null, "", location.pathname);
    input.value = token;
    each("[data-token-field], [data-look-button], [data-no-script]", (element) => { element.hidden = true; }, page);
    const answer = await fetch(page.dataset.look, {
      method: "POST", body: new URLSearchParams({ token }), headers: { "x-part": "yes" },
    }).catch(() => null);
    const shown = new DOMParser().parseFromString(answer ? await answer.text() : "", "text/html");
    const part = answer?.ok ? shown.body : shown.querySelector("[role=alert]");
    seen.replaceChildren(...(part ? [...part.childNodes] : ["The server does not answer: load the page again."]));
    seen.className = answer?.ok ? "" : "alert bad";
    seen.hidden = false;
    form.hidden = !answer?.ok || seen.querySelector("[data-usable]")?.dataset.usable !== "yes";
    times(seen);
  };
  look();
  addEventListener("hashchange", look);
} else {
  each("[data-no-script]", (element) => { element.hidden = true; });
}
