// Screens and answers of a page that is one file (`benchbench study export-html`). Answers stay in the browser's storage
// until they are saved as the JSON that `benchbench study import` reads.
"use strict";

const transport = (() => {
  const data = JSON.parse(document.getElementById("study-data").textContent);
  const KEY = `benchbench-study-${data.study}`;
  let state = null; // {token, answers}
  let durable = true;
  try {
    state = JSON.parse(localStorage.getItem(KEY));
    localStorage.setItem(`${KEY}-try`, "1");
    localStorage.removeItem(`${KEY}-try`);
  } catch {
    durable = false;
  }

  const hexadecimal = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

  const keep = (changed) => {
    try {
      if (durable) localStorage.setItem(KEY, JSON.stringify(changed));
    } catch {
      throw new Failure("Your answer could not be kept: the storage of this browser is full.", { again: true });
    }
    state = changed;
  };

  // The file holds many orders; the token says which is this person's.
  const mine = () => data.orders[parseInt(state.token.slice(0, 8), 16) % data.orders.length];

  // The k-th of the order: the item, and which of its pictures this person sees at each place.
  const shown = (k) => {
    const [number, places] = mine()[k];
    return { item: data.items[number], places };
  };

  const screen = () => {
    const done = state.answers.length;
    const total = mine().length;
    if (done >= total) return { item: null, done, total, rater: number };
    const { item, places } = shown(done);
    return {
      item: item.item, images: places.map((place) => data.images[item.images[place]]), source: item.source && data.images[item.source],
      question: data.question, choices: data.choices, done, total, ahead: [],
    };
  };

  // The number under which the study keeps these answers. Where the browser computes no digests the page shows none; it
  // is told to whoever imports the file.
  let number = null;
  const counted = async () => {
    if (crypto.subtle === undefined) return;
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`benchbench study rater\n${state.token}`));
    number = hexadecimal(new Uint8Array(digest)).slice(0, 16);
  };

  const stamp = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

  return {
    durable,
    begun: () => state !== null,
    begin: async () => {
      keep({ token: hexadecimal(crypto.getRandomValues(new Uint8Array(16))), answers: [] });
    },
    next: async () => {
      await counted();
      return screen();
    },
    answer: async (id, place, ms) => {
      // Another tab may have gone on in the meantime.
      const stored = durable ? JSON.parse(localStorage.getItem(KEY)) : null;
      if (stored !== null) state = stored;
      const done = state.answers.length;
      if (done < mine().length) {
        const { item, places } = shown(done);
        if (item.item === id) {
          const answer = { item: id, place, shown: places, ms, at: stamp() };
          keep({ token: state.token, answers: [...state.answers, answer] });
        }
      }
      return screen();
    },
    forget: () => {
      state = null;
      if (durable) localStorage.removeItem(KEY);
    },
    saved: () => ({
      name: `study-answers-${data.study.slice(0, 8)}-${state.token.slice(0, 8)}.json`,
      text: JSON.stringify({
        format: "benchbench-study-answers", version: 1, study: data.study, token: state.token, consent: data.consent, answers: state.answers,
      }),
    }),
  };
})();
