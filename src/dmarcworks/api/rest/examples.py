"""Example values for the OpenAPI document."""

from __future__ import annotations

ID = "0f8fad5bd9cb469fa16570867728950e"
KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
RUA = f"{ID}@reports.example.net"
WHEN = "2026-11-24T12:00:00Z"
