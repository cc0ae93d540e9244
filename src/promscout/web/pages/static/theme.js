// Light, dark, or as the system has it. Runs before the page is drawn, so that nothing flashes.
"use strict";
(() => {
  const KEY = "promscout-theme";
  const CHOICES = ["system", "light", "dark"];
  const root = document.documentElement;

  const stored = () => {
    try {
      const choice = localStorage.getItem(KEY);
      return CHOICES.includes(choice) ? choice : "system";
    } catch {
      return "system"; // storage can be forbidden
    }
  };
  let choice = stored();
  const show = () => {
    root.dataset.theme = choice;
    const button = document.getElementById("theme");
    if (!button) return;
    button.hidden = false;
    button.querySelector(".unseen").textContent = `Theme: ${choice}`;
    button.title = `Theme: ${choice}`;
  };
  show();
  document.addEventListener("DOMContentLoaded", () => {
    show();
    document.getElementById("theme")?.addEventListener("click", () => {
      choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
      try {
        localStorage.setItem(KEY, choice);
      } catch { /* as above */ }
      show();
    });
  });
  addEventListener("storage", (event) => {
    if (event.key === KEY) {
      choice = stored();
      show();
    }
  });
})();
