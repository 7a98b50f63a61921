// The page of a study: one screen after another, whoever hands them out (`transport`: over_http.js or in_file.js).
"use strict";

// What a transport throws; anything else is a fault of the page.
class Failure extends Error {
  constructor(message, { again = false, gone = false } = {}) {
    super(message);
    this.again = again; // worth another try
    this.gone = gone; // the study does not know this browser
  }
}

(() => {
  const TOO_FAST = 300; // ms: nobody has judged two pictures by then, but the second tap of a double tap has come
  const LARGEST = 480; // CSS pixels a side that a picture is magnified to
  const GAP = 12, CAPTION = 22; // as page.css has them
  const LONGEST_PAUSE = 30; // seconds between two tries
  const SIGNS = { ArrowLeft: "←", ArrowRight: "→", Space: "space" }; // of keys that have no letter
  const byId = (id) => document.getElementById(id);
  const pictures = byId("pictures"), choices = byId("choices"), notice = byId("notice");
  const anothers = document.querySelectorAll(".another"); // buttons by which somebody else begins
  const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

  let current = null; // what may be answered now: {screen, since}
  let left = null; // when the question was left for the page that asks whether to stop

  const only = (id) => {
    for (const section of document.querySelectorAll("section")) {
      if (section.id === id && section.hidden) window.scrollTo(0, 0);
      section.hidden = section.id !== id;
    }
  };

  const say = (text) => {
    if (notice.textContent !== text) notice.textContent = text;
    room();
  };

  // What is said stands above the page and covers nothing of it.
  const room = () => {
    document.documentElement.style.setProperty("--notice", `${notice.offsetHeight}px`);
    fit();
  };

  // What failed is tried again until it works; nothing goes on before it has.
  const surely = async (call, lost) => {
    for (let wait = 1; ; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
      try {
        const found = await call();
        say("");
        return found;
      } catch (failure) {
        if (!failure.again) throw failure;
        say(`${failure.message} ${lost} Trying again …`);
        await pause(wait);
      }
    }
  };

  // Pictures that are decoded, by address: the next ones are asked for while these are looked at.
  let loading = new Map();

  const load = (url) => {
    if (!loading.has(url)) {
      const image = new Image();
      image.src = url;
      loading.set(url, image.decode().then(() => image));
      loading.get(url).catch(() => loading.delete(url)); // whoever waits for it says so
    }
    return loading.get(url);
  };

  const loaded = (urls) => surely(async () => {
    try {
      return await Promise.all(urls.map(load));
    } catch {
      throw new Failure("A picture could not be loaded.", { again: true });
    }
  }, "");

  const figure = (image, alt, caption) => {
    const made = document.createElement("figure"), under = document.createElement("figcaption");
    image.alt = alt;
    under.textContent = caption;
    made.append(image, under);
    return made;
  };

  const row = (figures) => {
    const made = document.createElement("div");
    made.className = "row";
    made.append(...figures);
    return made;
  };

  // As large as there is room for, each pixel a whole number of the screen's. The largest picture says which size that is;
  // a smaller one beside it is magnified by the whole number that comes nearest to that size from below. Side by side, or one below the other where that is larger; below a source always side by side, for there
  // the upper one would be nearer to it.
  const fit = () => {
    const shown = [...pictures.querySelectorAll("img")];
    if (shown.length === 0) return;
    const sourced = pictures.querySelector(".source") !== null;
    const n = shown.length - sourced, rows = 1 + sourced;
    const wide = pictures.clientWidth, high = pictures.clientHeight;
    const width = Math.max(...shown.map((image) => image.naturalWidth));
    const height = Math.max(...shown.map((image) => image.naturalHeight));
    const ratio = (columns, lines) => Math.min(
      (wide - (columns - 1) * GAP) / columns / width, ((high - (lines - 1) * GAP) / lines - CAPTION) / height);
    const side = ratio(n, rows), stacked = sourced ? 0 : ratio(1, n);
    const room = Math.max(side, stacked, 1 / Math.max(width, height));
    const dots = window.devicePixelRatio || 1;
    const most = Math.max(dots, LARGEST / Math.max(width, height) * dots);
    const whole = Math.floor(Math.min(room * dots, most));
    const largest = whole >= 1 ? whole / dots : room;
    pictures.classList.toggle("column", stacked > side);
    for (const image of shown) {
      const alike = Math.min(width / image.naturalWidth, height / image.naturalHeight) * largest;
      const own = Math.floor(alike * dots + 1e-9); // a ratio that is whole may come out a hair below
      const scale = own >= 1 ? own / dots : alike;
      image.classList.toggle("smaller", own < 1);
      image.style.width = `${image.naturalWidth * scale}px`;
      image.style.height = `${image.naturalHeight * scale}px`;
    }
  };

  const buttons = (asked) => asked.map((choice) => {
    const button = document.createElement("button"), key = document.createElement("kbd");
    button.type = "button";
    button.className = "choice";
    button.disabled = true;
    key.textContent = choice.keys.map((own) => SIGNS[own] || own).join(" ");
    key.setAttribute("aria-hidden", "true");
    button.setAttribute("aria-keyshortcuts", choice.keys.join(" "));
    button.append(choice.label, key);
    button.addEventListener("click", () => choose(choice.value));
    return button;
  });

  const show = async (screen) => {
    for (const own of document.querySelectorAll(".rater")) own.textContent = screen.rater;
    for (const own of document.querySelectorAll(".saved")) own.textContent = "";
    if (transport.saved) for (const own of anothers) own.disabled = true; // not before this person's answers are in a file
    if (screen.item === null) {
      only("end");
      byId("end-title").focus();
      return;
    }
    const urls = screen.source === null ? screen.images : [screen.source, ...screen.images];
    const images = await loaded(urls);
    const answers = screen.source === null ? images : images.slice(1);
    const figures = answers.map((image, k) =>
      figure(image, answers.length > 1 ? `picture ${k + 1} of ${answers.length}` : "the picture", answers.length > 1 ? `${k + 1}` : ""));
    const rows = [row(figures)];
    if (screen.source !== null) {
      rows.unshift(row([figure(images[0], "the picture above", "")]));
      rows[0].classList.add("source");
    }
    only("item");
    byId("bar").max = screen.total;
    byId("bar").value = screen.done;
    byId("place").textContent = `${screen.done + 1} of ${screen.total}`;
    byId("question").textContent = screen.question;
    choices.replaceChildren(...buttons(screen.choices));
    pictures.replaceChildren(...rows);
    fit();
    // All are decoded: they appear in one frame, and an answer is taken from then on.
    await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
    pictures.classList.remove("waiting");
    for (const button of choices.children) button.disabled = false;
    byId("stop").disabled = false;
    byId("question").focus({ preventScroll: true });
    current = { screen, since: performance.now() };
    loading = new Map([...loading].filter(([url]) => screen.ahead.includes(url)));
    for (const url of screen.ahead) load(url).catch(() => {});
  };

  const choose = async (place) => {
    if (current === null || left !== null || performance.now() - current.since < TOO_FAST) return;
    const { screen, since } = current;
    const ms = Math.round(performance.now() - since);
    current = null; // whatever comes now, a second tap or a key that is held, answers nothing
    for (const button of [...choices.children, byId("stop")]) button.disabled = true;
    pictures.classList.add("waiting");
    await guarded(async () => show(await surely(
      () => transport.answer(screen.item, place, ms), "Your answer is not kept yet; please leave this page open.")));
  };

  const go = () => guarded(async () => show(await surely(() => transport.next(), "")));

  // What another try does not mend.
  const guarded = async (work) => {
    try {
      await work();
    } catch (failure) {
      if (!(failure instanceof Failure)) {
        say("This page has met a fault of its own; please load it again and tell whoever runs the study.");
        throw failure;
      }
      if (failure.gone) {
        transport.forget();
        ask();
        say("The study does not know this browser any more; please begin again.");
      } else {
        say(failure.message);
      }
    }
  };

  const ask = () => {
    only("consent");
    byId("begin").disabled = false;
    if (!transport.durable) say("This browser keeps nothing, so you cannot go on later: please finish in one go.");
  };

  const save = () => {
    const { name, text } = transport.saved();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    for (const own of document.querySelectorAll(".saved")) own.textContent = `Saved as ${name}, where this browser puts downloads.`;
    for (const own of anothers) own.disabled = false;
  };

  const stop = () => {
    if (current === null) return;
    left = performance.now();
    only("pause");
    byId("pause-title").focus();
  };

  // The time that was spent away from the pictures is none that the answer took.
  const back = () => {
    current.since += performance.now() - left;
    left = null;
    only("item");
    fit();
    byId("question").focus({ preventScroll: true });
  };

  byId("begin").addEventListener("click", () => {
    byId("begin").disabled = true;
    guarded(() => surely(() => transport.begin(), "")).then(() => transport.begun() && go());
  });
  for (const button of anothers) {
    button.addEventListener("click", () => {
      transport.forget();
      current = left = null;
      say("");
      ask();
      byId("consent-title").focus();
    });
  }
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", save);
  byId("stop").addEventListener("click", stop);
  byId("back").addEventListener("click", back);

  document.addEventListener("keydown", (event) => {
    if (current === null || left !== null || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " " && event.target instanceof HTMLButtonElement) return; // it presses that button
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const chosen = current.screen.choices.find((choice) => choice.keys.some((own) => own === key || (own === "Space" && key === " ")));
    if (chosen === undefined) return;
    event.preventDefault();
    choose(chosen.value);
  });
  window.addEventListener("resize", room);

  if (transport.begun()) go();
  else ask();
})();
