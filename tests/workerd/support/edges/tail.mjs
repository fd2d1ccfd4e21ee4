// What the platform records of requests, and hands to whoever looks after a Worker.
export default {
  tail(traces) {
    for (const { event } of traces) {
      if (event?.request) console.log(JSON.stringify({ tailed: event.request.headers }));
    }
  },
};
