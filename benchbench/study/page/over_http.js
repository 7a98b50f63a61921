// Screens and answers over HTTP (`benchbench study serve`). The token is all that the browser keeps.
"use strict";

const transport = (() => {
  const KEY = `benchbench-study-${document.documentElement.dataset.study}`;
  const PATIENCE = 20000; // ms until a request counts as lost
  let token = null;
  let durable = true;
  try {
    token = localStorage.getItem(KEY);
    localStorage.setItem(`${KEY}-try`, "1");
    localStorage.removeItem(`${KEY}-try`);
  } catch {
    durable = false; // the browser keeps nothing; the token lasts as long as the page
  }

  const said = async (response) => {
    try {
      return (await response.json()).error || response.statusText;
    } catch {
      return response.statusText || `error ${response.status}`;
    }
  };

  const ask = async (method, path, body) => {
    const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, {
        method, headers, body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(PATIENCE),
      });
      if (response.ok) return await response.json();
    } catch {
      throw new Failure("The study cannot be reached.", { again: true });
    }
    const words = await said(response);
    const again = response.status >= 500, mended = again || response.status === 403;
    const failure = new Failure(mended ? words : `${words} Please load this page again.`, { again, gone: response.status === 401 });
    failure.answered = response.status === 409;
    throw failure;
  };

  return {
    durable,
    begun: () => token !== null,
    begin: async () => {
      ({ token } = await ask("POST", "/api/start", { consent: true }));
      if (durable) localStorage.setItem(KEY, token);
    },
    next: () => ask("GET", "/api/next"),
    // A response that was lost is asked for again; the study then says that it has the answer, and goes on.
    answer: async (item, place, ms) => {
      try {
        return await ask("POST", "/api/answer", { item, place, ms });
      } catch (failure) {
        if (!failure.answered) throw failure;
        return ask("GET", "/api/next");
      }
    },
    forget: () => {
      token = null;
      if (durable) localStorage.removeItem(KEY);
    },
  };
})();
