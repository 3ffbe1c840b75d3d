"use strict";
(() => {
  const main = document.getElementById("live"), lost = document.getElementById("lost");
  const SILENT_MS = 10000; // the engine sends at least every 5 s
  let heard = Date.now();
  const stream = new EventSource("live");
  const hear = () => { heard = Date.now(); lost.hidden = true; };
  stream.addEventListener("alive", hear);
  stream.addEventListener("view", (event) => {
    hear();
    const made = new DOMParser().parseFromString(event.data, "text/html");
    main.replaceChildren(...made.body.childNodes);
    const share = main.querySelector("h1");
    if (share) document.title = document.title.split(":")[0] + ": " + share.textContent;
  });
  stream.addEventListener("error", () => {
    heard = -Infinity; // not silent, but gone: known at once
    lost.hidden = false;
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 15000);
  });
  setInterval(() => { lost.hidden = Date.now() - heard < SILENT_MS; }, 1000);
})();
