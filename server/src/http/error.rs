//! Errors of the API: a status, and the same codes as on the socket.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use enfilade_core::{Code, Retry};
use serde::Serialize;
use utoipa::ToSchema;

use crate::rooms::Refused;

/// Why a request failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// The stable number.
    code: u32,
    /// The stable name.
    name: &'static str,
    /// A sentence for people.
    message: &'static str,
    /// `never`, `later`, `resync` or `new-token`.
    retry: &'static str,
    /// Milliseconds to wait; 0 where waiting does not help.
    retry_after: u64,
}

/// A coded error as a response.
pub(super) struct ApiError(Refused);

impl From<Code> for ApiError {
    fn from(code: Code) -> ApiError {
        ApiError(Refused { code, retry_after: 0 })
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        ApiError(refused)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Refused { code, retry_after } = self.0;
        let retry = match code.retry() {
            Retry::Never => "never",
            Retry::Later => "later",
            Retry::Resync => "resync",
            Retry::NewToken => "new-token",
        };
        let error =
            ErrorDetail { code: code.number(), name: code.name(), message: code.text(), retry, retry_after };
        let mut response = (status(code), Json(ErrorBody { error })).into_response();
        if retry_after > 0 {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(retry_after.div_ceil(1_000)));
        }
        response
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::UnknownRoom | Code::NoSuchMessage => StatusCode::NOT_FOUND,
        Code::RoomExists | Code::OpIdReused | Code::OpSuperseded => StatusCode::CONFLICT,
        Code::Forbidden | Code::NotMember => StatusCode::FORBIDDEN,
        Code::RateLimited | Code::SlowMode => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        code => match code.retry() {
            Retry::NewToken => StatusCode::UNAUTHORIZED,
            Retry::Later => StatusCode::SERVICE_UNAVAILABLE,
            Retry::Never | Retry::Resync => StatusCode::BAD_REQUEST,
        },
    }
}
