//! The demo, built into the binary.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../web-demo/dist/"]
#[allow_missing = true]
struct Demo;

/// The page that every address of the demo shows; it finds its way by itself.
const INDEX: &str = "index.html";
/// File names under this carry a hash of their content, so they never change.
const HASHED: &str = "assets/";

/// A file of the demo, or its page where the address is none of a file.
pub(super) async fn serve(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let name = if path.is_empty() { INDEX } else { path };
    let is_page = name == INDEX || !name.contains('.');
    let Some((name, file)) = Demo::get(name)
        .map(|file| (name, file))
        .or_else(|| is_page.then(|| Demo::get(INDEX).map(|file| (INDEX, file)))?)
    else {
        return not_found(is_page);
    };
    let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    let headers = [(header::CONTENT_TYPE, mime.as_ref()), (header::CACHE_CONTROL, cache)];
    (headers, file.data.into_owned()).into_response()
}

fn not_found(is_page: bool) -> Response {
    let text = if is_page {
        "This server was built without the demo. Run `npm start` in the project to build both.\n"
    } else {
        "There is no such file.\n"
    };
    (StatusCode::NOT_FOUND, text).into_response()
}
