// Progressive enhancement: copy buttons, "/" to the search field, "t" to the table under a chart. Pages work without them.
"use strict";
document.documentElement.classList.add("js");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  let done = true;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // Without https there is no clipboard API: select the text, so that the user can copy it.
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
    done = false;
  }
  button.textContent = done ? "Copied" : "Selected";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "/") {
    const field = document.querySelector("[data-find]");
    if (field) { event.preventDefault(); field.focus(); }
  }
  if (event.key === "t") {
    const table = document.querySelector("details[data-table]");
    if (table) table.open = !table.open;
  }
});

// A confirmation before an action: a dialog in the page; without scripts the link leads to a confirmation page.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) { event.preventDefault(); dialog.showModal(); return; }
  const closer = event.target.closest("dialog [data-close]");
  if (closer) { event.preventDefault(); closer.closest("dialog").close(); }
});
