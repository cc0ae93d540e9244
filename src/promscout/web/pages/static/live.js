// Keeps the part of a page that is called "live" as it is on the server. Without it the page works the same.
//
// The server says by an event that something has changed; then the page is asked for again, and what differs is
// exchanged. Where there are no events, it is asked for now and then. Hidden and paused pages ask for nothing.
"use strict";
(() => {
  const tools = document.getElementById("tools");
  const live = document.getElementById("live");
  if (!tools || !live) return;

  const KEY = "promscout-live";
  const POLL_SECONDS = 10;
  const ROOT = document.body.dataset.root ?? "";
  // Which changes the page shows, and the seconds that it lets pass at least between two refreshes.
  const follows = live.dataset.follow?.split(" ") ?? ["targets", "config", "history"];
  const ownPace = Number(live.dataset.pace ?? 0);

  const button = document.createElement("button");
  button.type = "button";
  button.className = "live-button";
  const word = document.createElement("span");
  button.append(word);
  // A change of a button's name is not read out.
  const state = document.createElement("span");
  state.className = "unseen";
  state.setAttribute("role", "status");
  tools.prepend(button, state);

  let paused = false;
  try {
    paused = localStorage.getItem(KEY) === "paused";
  } catch { /* storage can be forbidden */ }
  let source = null;
  let reachable = true;
  let pace = 2;
  let last = performance.now();
  let timer = null;
  let poller = null;
  let asking = false;
  let missed = false;

  const say = () => {
    const now = paused ? "paused" : reachable ? "live" : "not reachable";
    for (const one of [word, state]) if (one.textContent !== now) one.textContent = now;
    button.dataset.state = now;
    button.title = paused ? "The page stays as it is. Click to follow changes." : "The page follows changes. Click to pause.";
  };

  // Makes `now` equal to `next` and keeps every element that stays, with its focus, scrolling and open details.
  const morph = (now, next) => {
    for (const name of now.getAttributeNames()) {
      if (!next.hasAttribute(name) && !(name === "open" && now.tagName === "DETAILS")) now.removeAttribute(name);
    }
    for (const name of next.getAttributeNames()) {
      if (name === "open" && now.tagName === "DETAILS") continue;
      if (now.getAttribute(name) !== next.getAttribute(name)) now.setAttribute(name, next.getAttribute(name));
    }
    if (now.tagName === "INPUT" || now.tagName === "TEXTAREA" || now.tagName === "SELECT") return;
    const named = (node) => node.nodeType === Node.ELEMENT_NODE ? node.dataset.key ?? node.id : "";
    const keep = new Map();
    for (const child of now.childNodes) if (named(child)) keep.set(named(child), child);
    const wantedKeys = new Set([...next.childNodes].map(named));
    let place = now.firstChild;
    for (const wanted of [...next.childNodes]) {
      // What is gone goes first: otherwise all that comes after it would be moved, and what is moved loses its focus.
      while (place && named(place) && !wantedKeys.has(named(place))) {
        const gone = place;
        place = place.nextSibling;
        gone.remove();
      }
      const key = named(wanted);
      let found = key ? keep.get(key) : place;
      if (found && (found.nodeName !== wanted.nodeName || named(found) !== key)) found = null;
      if (!found) {
        now.insertBefore(document.adoptNode(wanted), place);
        continue;
      }
      if (found === place) place = place.nextSibling;
      else if (now.moveBefore) now.moveBefore(found, place); // keeps the focus, where browsers have it
      else now.insertBefore(found, place);
      if (found.nodeType === Node.ELEMENT_NODE) {
        if (!found.isEqualNode(wanted)) morph(found, wanted);
      } else if (found.nodeValue !== wanted.nodeValue) {
        found.nodeValue = wanted.nodeValue;
      }
    }
    while (place) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
  };

  // A selection would be lost by what is exchanged under it.
  const selecting = () => {
    const selection = document.getSelection();
    return !selection.isCollapsed && live.contains(selection.anchorNode);
  };

  const refresh = async () => {
    timer = null;
    missed = selecting();
    if (paused || document.hidden || asking || missed) return;
    asking = true;
    const started = performance.now();
    try {
      const response = await fetch(location.href, { signal: AbortSignal.timeout(10000), cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const taken = performance.now() - started;
      const next = page.getElementById("live");
      missed = selecting();
      if (next && !live.isEqualNode(next) && !missed) morph(live, next);
      // A server that needs long for the page is asked less often.
      pace = Math.max(pace, (10 * taken) / 1000);
      reachable = true;
    } catch {
      reachable = false;
    }
    asking = false;
    last = performance.now();
    say();
  };

  const refreshSoon = () => {
    if (timer !== null || paused || document.hidden) return;
    const wait = Math.max(0, last + Math.max(pace, ownPace) * 1000 - performance.now());
    timer = setTimeout(refresh, wait);
  };

  const count = (message) => {
    for (const place of document.querySelectorAll("#glance [data-count]")) {
      place.textContent = message[place.dataset.count].toLocaleString("en");
      if (place.dataset.count === "down") place.parentElement.classList.toggle("bad", message.down > 0);
    }
  };

  const poll = () => {
    clearInterval(poller);
    poller = setInterval(refreshSoon, Math.max(POLL_SECONDS, ownPace) * 1000);
  };

  const listen = () => {
    if (source || paused || document.hidden) return;
    source = new EventSource(`${ROOT}/events`);
    source.onmessage = (event) => {
      clearInterval(poller);
      const message = JSON.parse(event.data);
      pace = message.pace;
      count(message);
      if (!reachable || message.changed.some((one) => follows.includes(one))) refreshSoon();
    };
    source.onerror = () => {
      // Refused for good: there are too many readers. Otherwise the browser tries again by itself.
      if (source.readyState === EventSource.CLOSED) poll();
      else refreshSoon();
    };
  };

  const rest = () => {
    source?.close();
    source = null;
    clearInterval(poller);
    clearTimeout(timer);
    timer = null;
  };

  button.addEventListener("click", () => {
    paused = !paused;
    try {
      localStorage.setItem(KEY, paused ? "paused" : "live");
    } catch { /* as above */ }
    if (paused) rest();
    else {
      listen();
      refreshSoon();
    }
    say();
  });
  // A connection that a hidden page keeps is missing to others: browsers have six for each server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) rest();
    else {
      listen();
      refreshSoon();
    }
  });
  document.addEventListener("selectionchange", () => {
    if (missed && !selecting()) refreshSoon();
  });
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => {
    if (event.persisted) listen();
  });
  say();
  listen();
})();
