// What is asked again and again, while somebody looks.

/** Does the work now and then, never twice at once, not while the page is hidden, and no more once it
 * says `false`. What goes wrong in it once is told to the browser, and ends nothing. */
export async function every(ms, work, signal) {
  while (!signal.aborted) {
    try {
      if (document.visibilityState === "visible" && (await work()) === false) return;
    } catch (error) {
      reportError(error);
    }
    await pause(ms, signal);
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const seen = () => document.visibilityState === "visible" && over();
    const timer = setTimeout(over, ms);
    document.addEventListener("visibilitychange", seen);
    signal.addEventListener("abort", over);
  });
}
