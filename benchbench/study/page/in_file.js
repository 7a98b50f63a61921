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
    if (done >= total) return { item: null, done, total, rater: rater() };
    const { item, places } = shown(done);
    return {
      item: item.item, images: places.map((place) => data.images[item.images[place]]), source: item.source && data.images[item.source],
      question: data.question, choices: data.choices, done, total, ahead: [],
      rater: rater(),
    };
  };

  // The number under which the study keeps these answers: the beginning of SHA-256 (FIPS 180-4). Browsers compute
  // it for encrypted pages only, and this one may come from anywhere; the text fits into one block.
  const rater = () => {
    const text = new TextEncoder().encode(`benchbench study rater\n${state.token}`);
    const block = new DataView(new ArrayBuffer(64));
    text.forEach((byte, k) => block.setUint8(k, byte));
    block.setUint8(text.length, 0x80);
    block.setUint32(60, text.length * 8);
    const primes = [];
    for (let own = 2; primes.length < 64; own++) if (primes.every((prime) => own % prime)) primes.push(own);
    const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
    const initial = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
    const turned = (word, by) => (word >>> by) | (word << (32 - by));
    const words = Array.from({ length: 16 }, (_, k) => block.getUint32(4 * k) | 0);
    let [a, b, c, d, e, f, g, h] = initial;
    for (let k = 0; k < 64; k++) {
      if (k > 15) {
        const early = words[k - 15], late = words[k - 2];
        words[k] = (words[k - 16] + words[k - 7] + (turned(early, 7) ^ turned(early, 18) ^ (early >>> 3))
          + (turned(late, 17) ^ turned(late, 19) ^ (late >>> 10))) | 0;
      }
      const first = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + fraction(Math.cbrt(primes[k])) + words[k];
      const second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [a, b, c, d, e, f, g, h] = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g];
    }
    return [initial[0] + a, initial[1] + b].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  };

  const stamp = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

  return {
    durable,
    begun: () => state !== null,
    begin: async () => {
      keep({ token: hexadecimal(crypto.getRandomValues(new Uint8Array(16))), answers: [] });
    },
    next: async () => screen(),
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
      name: `study-answers-${data.study.slice(0, 8)}-${rater()}.json`,
      text: JSON.stringify({
        format: "benchbench-study-answers", version: 1, study: data.study, token: state.token, consent: data.consent, answers: state.answers,
      }),
    }),
  };
})();
