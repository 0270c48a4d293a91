"""Constants of the HTTP API: its version, the HTTP status of each problem code, and the limits of its parameters."""

API_VERSION = "1"

STATUS_BY_CODE = {
    "bad_request": 400,
    "bad_signature": 401,
    "unauthorized": 401,
    "forbidden": 403,
    "denied": 403,
    "not_found": 404,
    "ambiguous_id": 409,
    "conflict": 409,
    "not_cancellable": 409,
    "not_retryable": 409,
    "not_waiting": 409,
    "cursor_expired": 410,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "throttled": 429,
    "internal": 500,
    "storage_unavailable": 503,
    "shutting_down": 503,
    "busy": 503,
}

PAGE_DEFAULT = 100
PAGE_MAX = 500
ID_SUFFIX_MIN = 6  # characters of the end of an id that may stand for the id
