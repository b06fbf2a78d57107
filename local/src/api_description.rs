//! `openapi.yaml`, the description of the API, as JSON and as a page.

use axum::Router;
use serde_json::Value;
use utoipa_swagger_ui::SwaggerUi;

const TEXT: &str = include_str!("../../openapi.yaml");

/// The description. Null if the file is no YAML, which tests would notice.
pub fn document() -> Value {
    serde_saphyr::from_str(TEXT).unwrap_or_default()
}

/// `/openapi.json`, and `/docs`, where a browser shows it and calls the API.
pub(crate) fn router() -> Router {
    SwaggerUi::new("/docs").external_url_unchecked("/openapi.json", document()).into()
}
