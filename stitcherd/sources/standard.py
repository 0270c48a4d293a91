"""Any sender that speaks Standard Webhooks: the body of Mosaic, signed together with its id and the time."""

from stitcherd.sources import mosaic
from stitcherd.sources.body import JSON, scrub
from stitcherd.sources.headers import id_from
from stitcherd.sources.source import Source
from stitcherd.sources.standard_signature import ID, TIMESTAMP, verify

SOURCE = Source(
    kind="standard",
    verify=verify,
    parse=mosaic.parse,
    external_id=id_from(ID),
    scrub=scrub,
    id_is_signed=True,
    body_window=mosaic.REPEAT_MS,
    kept_headers=("Content-Type", "User-Agent", ID, TIMESTAMP),
    content_types=frozenset({JSON}),
)
