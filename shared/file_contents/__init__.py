"""What a file is by its bytes (F-1 to F-3): judged for the eleven types of R7, named for everybody else's."""

from __future__ import annotations

from shared.file_contents.judging import ContentFault, judge_content

__all__ = ["ContentFault", "judge_content"]
