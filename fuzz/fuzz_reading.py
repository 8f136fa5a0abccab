"""Coverage-guided fuzzing of `dmarcworks.reports` (`make fuzz SECONDS=600`); exit status 1 and the input on a finding.

The golden corpus seeds it; what it learns is kept in fuzz/corpus (not committed), findings in fuzz/findings.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent))

with atheris.instrument_imports(include=["dmarcworks.reports"]):
    import properties

HERE = Path(__file__).resolve().parent
# Words of the formats, so that mutations speak them.
_WORDS = (
    "<feedback>,</feedback>,<record>,</record>,<row>,<count>,</count>,<date_range>,<begin>,<!DOCTYPE ,<!--,-->,"
    '<![CDATA[,]]>,<?xml version="1.0" encoding=",utf-16,gb18030,&#0;,&amp;,&x;,'
    'xmlns=",urn:ietf:params:xml:ns:dmarc-2.0,'
    '<extension>,"policies":,"report-id":,"summary":,1e999,NaN,9223372036854775807,-1,\\x1f\\x8b\\x08,PK\\x03\\x04,'
    "PK\\x01\\x02,PK\\x05\\x06,\\xef\\xbb\\xbf,\\xff\\xfe,Content-Type: ,multipart/mixed; boundary=,message/rfc822,"
    "message/feedback-report,Content-Transfer-Encoding: base64,Feedback-Type: auth-failure,Source-IP: ,Arrival-Date: ,"
    "quoted-printable,filename*0=,=?utf-8?b?,=?utf-7?q?,=?unicode_escape?q?"
)


def one_input(data: bytes) -> None:
    """Read one input and let libFuzzer see what does not hold."""
    properties.check(data)


def main() -> None:
    """Write seeds and dictionary, then let libFuzzer run."""
    for name in ("corpus", "findings"):
        (HERE / name).mkdir(exist_ok=True)
    for seed in properties.seeds(HERE.parent / "tests" / "corpus"):
        (HERE / "corpus" / f"seed-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)
    quoted = (word if "\\x" in word else word.replace("\\", "\\\\") for word in _WORDS.split(","))
    (HERE / "words.dict").write_text(
        "".join(f'"{word.replace(chr(34), chr(92) + chr(34))}"\n' for word in quoted if word)
    )
    arguments = [
        sys.argv[0],
        str(HERE / "corpus"),
        f"-artifact_prefix={HERE / 'findings'}/",
        f"-dict={HERE / 'words.dict'}",
        f"-max_len={properties.LONGEST}",
        "-timeout=20",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        *sys.argv[1:],
    ]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
