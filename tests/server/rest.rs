use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::harness::Server;

fn code(answer: &Value) -> &str {
    answer["error"]["name"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[tokio::test]
async fn rooms_are_created_listed_and_read() {
    let server = Server::start(&[]);
    let (token, user) = server.guest("Ada");
    let token = Some(token.as_str());
    for (id, visibility) in [("attic", "private"), ("cellar", "unlisted"), ("lobby", "public")] {
        let body =
            json!({ "id": id, "name": format!("The {id}"), "topic": "News", "visibility": visibility });
        let (status, created) = server.post("/api/rooms", token, &body);
        assert_eq!((status, &created["id"], &created["seq"]), (201, &json!(id), &json!(1)), "{created}");
    }
    let (status, made_up) = server.post("/api/rooms", token, &json!({ "name": "No id" }));
    assert_eq!(status, 201, "{made_up}");

    let coded = json!({ "name": "Study", "visibility": "unlisted", "code": true, "capacity": 1 });
    let (status, study) = server.post("/api/rooms", token, &coded);
    let study = study["id"].as_str().unwrap();
    assert!(status == 201 && study.len() == 6 && study.parse::<u32>().is_ok(), "{study}");

    let (status, list) = server.get("/api/rooms", None);
    let names: BTreeSet<&str> =
        list["rooms"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!((status, names, &list["total"]), (200, BTreeSet::from(["No id", "The lobby"]), &json!(2)));
    let (_, first) = server.get("/api/rooms?limit=1", None);
    let next = first["next"].as_str().unwrap();
    let (_, by_name) = server.get("/api/rooms?name=The%20lobby", None);
    assert_eq!((&by_name["rooms"][0]["id"], &by_name["total"]), (&json!("lobby"), &json!(1)));
    let (_, by_name) = server.get("/api/rooms?name=The%20attic", None);
    assert_eq!(by_name, json!({ "rooms": [], "total": 0 }), "what is not listed is not found by its name");
    // Whoever was told the code finds the room, and a place in it as long as there is one.
    let (status, found) = server.get(&format!("/api/rooms/{study}"), token);
    assert_eq!((status, &found["name"], &found["members"]), (200, &json!("Study"), &json!(1)));
    let (_, second) = server.get(&format!("/api/rooms?limit=1&cursor={next}"), None);
    assert_eq!((second["rooms"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null));

    let (status, room) = server.get("/api/rooms/attic", token);
    assert_eq!((status, &room["name"], &room["owner"]), (200, &json!("The attic"), &json!(user)));
    assert_eq!((&room["visibility"], &room["members"]), (&json!("private"), &json!(1)));
    assert_eq!(room["members_list"][0]["role"], "owner");
    let (status, page) = server.get("/api/rooms/lobby/messages", token);
    assert_eq!((status, page), (200, json!({ "messages": [] })));

    let (stranger, _) = server.guest("Bob");
    let (status, refused) = server.get("/api/rooms/attic", Some(&stranger));
    assert_eq!((status, code(&refused)), (403, "forbidden"));
    let (status, refused) = server.get("/api/rooms/attic/messages", Some(&stranger));
    assert_eq!((status, code(&refused)), (403, "forbidden"));
    assert_eq!(server.get("/api/rooms/cellar", Some(&stranger)).0, 200);
    let (status, refused) = server.get("/api/rooms/nowhere", token);
    assert_eq!((status, code(&refused)), (404, "unknown_room"));
    let (status, refused) = server.post("/api/rooms", token, &json!({ "id": "lobby", "name": "Again" }));
    assert_eq!((status, code(&refused)), (409, "room_exists"));
}

#[tokio::test]
async fn the_description_lists_every_route_and_each_of_them_answers() {
    let server = Server::start(&[]);
    let (status, description) = server.get("/api/openapi.json", None);
    assert_eq!(status, 200);
    let mut listed = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            listed.insert(format!("{method} {path}"));
        }
    }
    let expected = [
        "get /api/game-state",
        "get /api/rooms",
        "get /api/rooms/{id}",
        "get /api/rooms/{id}/messages",
        "get /api/rooms/{id}/traffic",
        "post /api/guest",
        "post /api/rooms",
        "post /api/tap",
    ];
    assert_eq!(listed, expected.map(String::from).into());
    let (token, _) = server.guest("Ada");
    server.post("/api/rooms", Some(&token), &json!({ "id": "lobby", "name": "Lobby" }));
    for path in expected.iter().filter_map(|route| route.strip_prefix("get ")) {
        let path = path.replace("{id}", "lobby").replace("game-state", "game-state?room=lobby");
        assert_eq!(server.get(&path, Some(&token)).0, 200, "{path}");
    }
    let (status, refused) = server.get("/api/nothing", None);
    assert_eq!((status, code(&refused)), (400, "invalid_request"));
}

#[tokio::test]
async fn what_is_no_good_gets_a_coded_error() {
    let server = Server::start(&[]);
    let (token, _) = server.guest("Ada");
    let token = Some(token.as_str());
    let long = "x".repeat(65);
    for (path, body, name) in [
        ("/api/guest", json!({ "name": "" }), "invalid_name"),
        ("/api/guest", json!({ "name": "a\u{0}b" }), "invalid_name"),
        ("/api/guest", json!({ "name": long }), "invalid_name"),
        ("/api/guest", json!({ "nick": "x" }), "invalid_request"),
        ("/api/rooms", json!({ "name": " " }), "invalid_name"),
        ("/api/rooms", json!({ "name": long }), "invalid_name"),
        ("/api/rooms", json!({ "name": "a\u{7}" }), "invalid_name"),
        ("/api/rooms", json!({ "name": "x", "topic": "x".repeat(251) }), "invalid_text"),
        ("/api/rooms", json!({ "name": "x", "id": "a b" }), "invalid_room_id"),
        ("/api/rooms", json!({ "name": "x", "id": long }), "invalid_room_id"),
        ("/api/rooms", json!({ "name": "x", "visibility": "secret" }), "invalid_request"),
        ("/api/rooms", json!({ "name": "x", "id": "inbox:ada" }), "forbidden"),
        ("/api/rooms", json!([]), "invalid_request"),
    ] {
        let (status, refused) = server.post(path, token, &body);
        let expected = if name == "forbidden" { 403 } else { 400 };
        assert_eq!((status, code(&refused)), (expected, name), "{path} {body}");
    }
    for path in ["/api/rooms?limit=many", "/api/rooms/lobby/messages?before_seq=x"] {
        let (status, refused) = server.get(path, token);
        assert_eq!((status, code(&refused)), (400, "invalid_request"), "{path}");
    }
    assert_eq!(server.get("/api/rooms", None).1["total"], 0);
}

#[tokio::test]
async fn a_request_without_a_good_token_is_refused() {
    let server = Server::start(&[]);
    let (token, _) = server.guest("Ada");
    let other = Server::start(&[]);
    let (foreign, _) = other.guest("Ada");
    for bad in [None, Some("garbage"), Some(""), Some(foreign.as_str()), Some(&token[..token.len() - 4])] {
        let (status, refused) = server.get("/api/rooms/lobby", bad);
        assert_eq!((status, code(&refused)), (401, "token_invalid"), "{bad:?}");
        let (status, refused) = server.get("/api/rooms/lobby/messages", bad);
        assert_eq!((status, code(&refused)), (401, "token_invalid"), "{bad:?}");
        let (status, refused) = server.post("/api/rooms", bad, &json!({ "id": "lobby", "name": "Lobby" }));
        assert_eq!(
            (status, code(&refused), &refused["error"]["retry"]),
            (401, "token_invalid", &json!("new-token"))
        );
    }
    assert_eq!(server.get("/api/rooms", None).1["total"], 0);
}

#[tokio::test]
async fn where_guests_are_not_allowed_nobody_gets_a_token() {
    let server = Server::start(&["guests.allowed=false"]);
    let (status, refused) = server.post("/api/guest", None, &json!({ "name": "Ada" }));
    assert_eq!((status, code(&refused)), (403, "forbidden"));
}
