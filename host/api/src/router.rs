//! The way of a request before and after its handler: bounds, who asks, which form, ids and headers.
//!
//! Order, from outside: panic → request id and log span → secrets taken out → `Host` and `Origin` → microversion → who asks → time and
//! number of requests → size of the body → route.

use crate::access_key::AccessKeyReader;
use crate::authentication::{Authentication, socket_actor};
use crate::clean::{Cleaned, clean};
use crate::error::ApiError;
use crate::microversion::{HEADER, LATEST, Microversion, UnusableMicroversion};
use crate::request::Caller;
use crate::{body, health, operator, v2};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bulkhead_manager::Manager;
use bulkhead_model::id::RequestId;
use bulkhead_model::scope::Actor;
use bulkhead_model::secret::Cleaner;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

/// The longest a request may take. Nothing here waits for a driver.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// The most requests at work at once; more are told to come back.
const REQUESTS_AT_ONCE: usize = 512;
/// The longest idempotency key, in bytes.
const KEY_BYTES: usize = 255;

/// How the network door is set up.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// How tenants prove who they are.
    pub authentication: Authentication,
    /// What clients may write in `Host`, without the port: the listen address, `localhost` and the names of the configuration.
    pub host_names: Vec<String>,
    /// What tells tenants the credentials of their access rules.
    pub access_keys: AccessKeyReader,
    /// What takes secrets out of answers.
    pub cleaner: Cleaner,
}

/// Which door a request came through.
#[derive(Debug)]
enum Door {
    Network(ApiSettings),
    Socket,
}

#[derive(Debug)]
struct Gate {
    door: Door,
    permits: Semaphore,
}

/// What tenants reach over the network.
pub fn tenant_router(manager: Manager, settings: ApiSettings) -> Router {
    let cleaning = (Cleaned::Failures, settings.cleaner.clone());
    finish(v2::routes(manager.clone()).merge(health::routes(manager)), Door::Network(settings), cleaning)
}

/// What whoever may open the unix socket reaches: the operator's routes, and the tenants'.
pub fn operator_router(manager: Manager, cleaner: Cleaner) -> Router {
    let routes =
        v2::routes(manager.clone()).merge(operator::routes(manager.clone())).merge(health::routes(manager));
    finish(routes, Door::Socket, (Cleaned::All, cleaner))
}

fn finish(routes: Router, door: Door, cleaning: (Cleaned, Cleaner)) -> Router {
    let gate = Arc::new(Gate { door, permits: Semaphore::new(REQUESTS_AT_ONCE) });
    let routes = routes
        .fallback(async || v2::no_route())
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(body::LARGEST_BYTES));
    // A layer around a router that is itself only a fallback runs before routing: the project in a path is taken out there.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn_with_state(gate, admit))
        .layer(from_fn_with_state(cleaning, clean))
        .layer(from_fn(identify))
        .layer(CatchPanicLayer::custom(|_| ApiError::Internal.into_response()))
}

/// Give the request its id, and the answer its headers.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId::random();
    let span = tracing::info_span!(
        "api.request",
        request.id = %id,
        http.method = %request.method(),
        http.path = request.uri().path().chars().take(256).collect::<String>(),
    );
    request.extensions_mut().insert(id.clone());
    let version = Microversion::of(request.headers()).unwrap_or(LATEST);
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    headers.insert(HEADER, version.header_value());
    headers.insert(header::VARY, HeaderValue::from_name(HEADER));
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static("x-openstack-request-id"), value.clone());
        headers.insert(HeaderName::from_static("x-compute-request-id"), value);
    }
    response
}

/// Let the request in, or say why not.
async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.check(request) {
        Ok(request) => {
            let Ok(_permit) = gate.permits.try_acquire() else {
                return ApiError::Busy("too many requests at once; try again in a moment".to_owned())
                    .into_response();
            };
            tokio::time::timeout(REQUEST_TIME, next.run(request)).await.unwrap_or_else(|_| {
                ApiError::Busy("the request took too long; look at the resource".to_owned()).into_response()
            })
        }
        Err(refusal) => refusal.into_response(),
    }
}

impl Gate {
    fn check(&self, mut request: Request) -> Result<Request, ApiError> {
        let headers = request.headers();
        if health::is_open(request.uri().path()) {
            return Ok(request);
        }
        if let Door::Network(settings) = &self.door {
            check_origin(headers, settings)?;
        }
        if v2::is_discovery(request.uri().path()) {
            return Ok(request);
        }
        let version = Microversion::of(headers).map_err(|unusable| match unusable {
            UnusableMicroversion::Malformed(_) => ApiError::BadRequest(unusable.to_string()),
            UnusableMicroversion::Unsupported(_) => ApiError::NotAcceptable(unusable.to_string()),
        })?;
        // Whoever opens the socket is the operator, who has no use for a tenant's credentials.
        let (actor, access_keys) = match &self.door {
            Door::Network(settings) => {
                (settings.authentication.actor(headers)?, settings.access_keys.clone())
            }
            Door::Socket => (socket_actor(headers)?, AccessKeyReader::default()),
        };
        let idempotency_key = idempotency_key(headers)?;
        let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(RequestId::random);
        let uri = without_project(request.uri(), &actor)?;
        *request.uri_mut() = uri;
        request.extensions_mut().insert(Caller { actor, version, request: id, idempotency_key, access_keys });
        Ok(request)
    }
}

/// A browser page of somebody else, or a name that somebody else's server resolves to us, must not reach us.
fn check_origin(headers: &HeaderMap, settings: &ApiSettings) -> Result<(), ApiError> {
    if headers.contains_key(header::ORIGIN) {
        return Err(ApiError::Forbidden("requests from web pages are not served".to_owned()));
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if settings.host_names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        Ok(())
    } else {
        Err(ApiError::Forbidden(
            "this server is not known by the name in Host; the operator can add it to host-names".to_owned(),
        ))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) if (1..=KEY_BYTES).contains(&text.len()) => Ok(Some(text.to_owned())),
        _ => Err(ApiError::BadRequest(format!(
            "Idempotency-Key stands once and is 1 to {KEY_BYTES} printable characters"
        ))),
    }
}

/// `/v2/PROJECT/shares` is `/v2/shares`, for the project of the token and no other.
fn without_project(uri: &Uri, actor: &Actor) -> Result<Uri, ApiError> {
    let path = uri.path();
    let Some(rest) = path.strip_prefix("/v2/") else { return Ok(uri.clone()) };
    let (first, after) = rest.split_once('/').unwrap_or((rest, ""));
    let next = after.split('/').next().unwrap_or_default();
    if v2::COLLECTIONS.contains(&first) || !v2::COLLECTIONS.contains(&next) {
        return Ok(uri.clone());
    }
    if first != actor.project.as_str() {
        return Err(ApiError::Forbidden("the project in the path is not the token's".to_owned()));
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("/v2/{after}{query}")
        .parse()
        .map_err(|_| ApiError::BadRequest("the path is malformed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::scope::Role;

    fn actor() -> Actor {
        Actor {
            user: "u".parse().expect("a user"),
            project: "blue".parse().expect("a project"),
            role: Role::Tenant,
        }
    }

    #[test]
    fn the_project_in_a_path_is_optional_and_must_be_ones_own() {
        let stripped =
            |path: &str| without_project(&path.parse().expect("a path"), &actor()).map(|uri| uri.to_string());
        assert_eq!(stripped("/v2/blue/shares/detail?limit=1"), Ok("/v2/shares/detail?limit=1".to_owned()));
        assert_eq!(stripped("/v2/shares/detail"), Ok("/v2/shares/detail".to_owned()));
        assert!(stripped("/v2/red/shares").is_err());
    }

    #[test]
    fn a_foreign_name_or_a_web_page_is_turned_away() {
        let settings = ApiSettings {
            authentication: Authentication::None,
            host_names: vec!["127.0.0.1".to_owned(), "::1".to_owned()],
            access_keys: AccessKeyReader::default(),
            cleaner: Cleaner::default(),
        };
        let check = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a header"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("a header"));
            }
            check_origin(&headers, &settings).is_ok()
        };
        assert!(check("127.0.0.1:8786", None) && check("[::1]:8786", None) && check("127.0.0.1", None));
        assert!(!check("evil.example:8786", None) && !check("127.0.0.1:8786", Some("http://evil.example")));
    }
}
