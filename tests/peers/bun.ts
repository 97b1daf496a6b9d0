// Bun's own publish and subscribe, as its documentation shows it. The first message says "sub ROOM" or "pub ROOM".
type Data = { room: string | null };

const server = Bun.serve<Data>({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request, server) {
    if (server.upgrade(request, { data: { room: null } })) return;
    return new Response("This is a WebSocket.", { status: 426 });
  },
  websocket: {
    message(ws, message) {
      if (ws.data.room === null) {
        const [role, room] = message.toString().split(" ");
        ws.data.room = room;
        if (role === "sub") ws.subscribe(room);
        ws.send("ok");
      } else {
        server.publish(ws.data.room, message);
      }
    },
  },
});
console.log(`ready ${server.port}`);
