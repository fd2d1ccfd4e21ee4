// The application behind all edges. It gives the command that the query asks
// for, and answers with what it was told: all of it too, since what happens within workerd
// nobody else can look at (tests/scan/). Events it grants after as many milliseconds as asked for.
export default {
  async fetch({ url, headers }) {
    const answer = new Headers({ "cache-control": "no-store" });
    for (const name of ["let-through", "warifu-claims"]) answer.set(name.replace("warifu-", ""), headers.get(name) ?? "");
    answer.set("told", JSON.stringify([...headers]));
    const { searchParams } = new URL(url);
    const command = searchParams.get("command");
    if (command !== null) answer.set("warifu-command", command);
    const eventsAfter = searchParams.get("events-after");
    if (eventsAfter !== null) {
      await scheduler.wait(Number(eventsAfter));
      answer.set("content-type", "text/event-stream");
    }
    return new Response(null, { headers: answer });
  },
};
