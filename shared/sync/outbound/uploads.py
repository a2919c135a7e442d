"""Take a file that a later send refers to."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from shared.domain.attachments import FileProblem, clean_name, judge_content
from shared.services import Services
from shared.state.sessions import Upload
from shared.sync.outbound.accept_outbound import refused, stage_file

UPLOAD_FOR: Final = timedelta(hours=24)


async def keep_upload(s: Services, tenant_id: str, name: str, content: bytes) -> tuple[str, Upload]:
    """Judge and keep one file; returns its id and description. Raises AttachmentRefused."""
    cleaned = clean_name(name)
    reason = judge_content(cleaned, content)
    if reason is not None:
        raise refused([FileProblem(cleaned, reason)])
    file_id = f"fil_{s.random.token(18)}"
    upload = Upload(await stage_file(s, tenant_id, cleaned, content), s.clock.now() + UPLOAD_FOR)
    await s.sessions.keep_upload(tenant_id, file_id, upload)
    return file_id, upload
