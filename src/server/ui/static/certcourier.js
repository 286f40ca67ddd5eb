// The page works without this, except where it says so. Everything here is found by data attributes.
const each = (selector, act, within = document) => within.querySelectorAll(selector).forEach(act);

// Times in the reader's zone, UTC on hover.
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
each("time[datetime]", (time) => {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  time.title = `${time.dateTime.replace("T", " ").replace(/(\.\d+)?Z$/, "")} UTC`;
  time.textContent = zone.format(moment);
});

// What only works with a script is shown with one.
each("[data-script]", (element) => { element.hidden = false; });
each("[data-no-script]", (element) => { element.hidden = true; });

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
