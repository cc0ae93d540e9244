// Small things that pages work without: a key for the search, and buttons that copy.
"use strict";
(() => {
  // On narrow screens the pages are a row that scrolls.
  document.querySelector(".pages [aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const search = document.querySelector('input[type="search"]');
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  for (const place of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue; // needs https or localhost
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const text = document.querySelector(place.dataset.copy)?.innerText ?? "";
      try {
        await navigator.clipboard.writeText(text.replaceAll("\n\n", "\n"));
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    place.prepend(button);
  }
})();
