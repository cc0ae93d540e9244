// Reloads the live part of a page at an interval that the reader chooses. Without it the page works the same.
"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools || !document.getElementById("live")) return;

  const KEY = "promscout-refresh-seconds";
  const label = document.createElement("label");
  const select = document.createElement("select");
  const state = document.createElement("span");
  state.setAttribute("role", "status");
  label.append("Refresh ", select);
  tools.append(state, label);
  for (const [seconds, text] of [["0", "off"], ["5", "every 5 s"], ["15", "every 15 s"], ["60", "every minute"]]) {
    select.append(new Option(text, seconds));
  }
  try {
    select.value = localStorage.getItem(KEY) || "0";
  } catch { /* storage can be forbidden */ }
  if (select.selectedIndex < 0) select.value = "0";

  // What the reader is doing must not be pulled away.
  const busy = () => {
    const live = document.getElementById("live");
    return document.hidden || live.querySelector("details[open]") || live.contains(document.activeElement)
      || !document.getSelection().isCollapsed;
  };

  const refresh = async () => {
    if (busy()) return;
    try {
      const response = await fetch(location.href, { signal: AbortSignal.timeout(10000) });
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("live");
      if (fresh && !busy()) document.getElementById("live").replaceWith(document.adoptNode(fresh));
      state.textContent = "";
    } catch {
      state.textContent = "not reachable";
    }
  };

  let timer;
  const schedule = () => {
    clearInterval(timer);
    const seconds = Number(select.value);
    if (seconds) timer = setInterval(refresh, seconds * 1000);
  };
  select.addEventListener("change", () => {
    try {
      localStorage.setItem(KEY, select.value);
    } catch { /* as above */ }
    schedule();
  });
  schedule();
})();
