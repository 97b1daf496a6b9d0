// Takes the place of the browser's WebSocket: keeps what is opened, sent and closed, and lets the test speak for the
// server. Runs as the body of a function.
class FakeSocket extends EventTarget {
  static opened = [];

  constructor(url, protocol) {
    super();
    Object.assign(this, { url, protocol, readyState: 0, sent: [], closed: undefined });
    FakeSocket.opened.push(this);
  }

  send(bytes) {
    this.sent.push(bytes.slice());
  }

  close(code, reason) {
    this.closed ??= [code ?? 1005, reason ?? ""];
    this.readyState = 3;
  }

  opens() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  receives(data) {
    this.dispatchEvent(
      new MessageEvent("message", { data: typeof data === "string" ? data : data.slice().buffer }),
    );
  }

  ends(code, reason) {
    this.readyState = 3;
    this.dispatchEvent(new CloseEvent("close", { code, reason }));
  }
}
globalThis.WebSocket = FakeSocket;
