"""Who gets an answer, and how much is taken: asked of the real server, over its socket."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import re
import socket
import struct
import sys
import time
import zlib
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.images import formats, load_images
from foveal.synthetic import demo_scenes
from foveal.webapp import security
from foveal.webapp.jobs import UNEXPECTED
from foveal.webapp.photos import MOST_UPLOADS
from foveal.webapp.studio import Studio
from tests.images.deep_files import png as deep_png
from tests.images.made_files import bands_tiff, dicom, nifti
from tests.studio.asking import Client, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY = ("POST", "/api/library", b"{}")
PATHS = [("GET", "/"), ("GET", "/studio.js"), ("POST", "/api/library"), ("GET", "/photos/a"), ("GET", "/nothing")]


def named(client: Client, **headers: str) -> dict[str, str]:
    """Headers of a page of the studio, but for these."""
    return {"content_type": "application/json", **client.key, **headers}


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic {token}"},
        {"cookie": "foveal-{port}=wrong"},
        {"cookie": "foveal-1={token}"},
        {"cookie": "foveal-{port}={token}x"},
    ],
)
def test_nothing_is_answered_without_the_token(client: Client, method: str, path: str, shown: dict[str, str]) -> None:
    server = client.server
    headers = {name: value.format(token=server.token, port=server.port) for name, value in shown.items()}
    reply = client.send(method, path, b"{}", **headers)
    assert reply.status == 403
    assert reply.sentence == security.NO_TOKEN


def test_the_address_opens_the_studio_once_and_for_all(client: Client) -> None:
    server = client.server
    opened = client.send("GET", f"/?token={server.token}")
    assert (opened.status, opened.headers["location"], opened.body) == (303, "/", b"")
    cookie, *attributes = opened.headers["set-cookie"].split("; ")
    assert cookie == f"foveal-{server.port}={server.token}"
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    reply = client.send(*LIBRARY, content_type="application/json", cookie=f"a=b; {cookie}; c=d")
    assert reply.status == 200


@pytest.mark.parametrize(
    "query", ["token=", "token=wrong", "token=a&token={token}", "xtoken={token}", "token={token}é"]
)
def test_another_token_in_the_address_opens_nothing(client: Client, query: str) -> None:
    reply = client.send("GET", f"/?{query.format(token=client.server.token).replace('é', '%C3%A9')}")
    assert reply.status == 403
    assert "set-cookie" not in reply.headers


HOSTS = ["example.org", "example.org:{port}", "127.0.0.1:1", "localhost", "127.0.0.1.example.org:{port}", ""]


@pytest.mark.parametrize("host", HOSTS)
def test_a_foreign_host_is_refused(client: Client, host: str) -> None:
    """A page of another name that leads to this machine."""
    reply = client.send(*LIBRARY, host=host.format(port=client.server.port), **named(client))
    assert (reply.status, reply.sentence) == (403, security.NO_HOST)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_names_of_this_machine_are_answered(client: Client, host: str) -> None:
    assert client.send(*LIBRARY, host=host.format(port=client.server.port), **named(client)).status == 200


def test_two_hosts_are_refused(client: Client) -> None:
    own = f"127.0.0.1:{client.server.port}"
    request = (
        f"GET / HTTP/1.1\r\nHost: {own}\r\nHost: example.org\r\nAuthorization: Bearer {client.server.token}\r\n\r\n"
    )
    with closing(socket.create_connection((client.server.host, client.server.port), 10)) as connection:
        connection.sendall(request.encode())
        assert connection.recv(100).split()[1] in (b"400", b"403")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://example.org"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:{port}"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost:{port}"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://127.0.0.1:{port}", "sec_fetch_site": "cross-site"},
    ],
)
def test_a_foreign_page_is_refused(client: Client, headers: dict[str, str]) -> None:
    there = {name: value.format(port=client.server.port) for name, value in headers.items()}
    reply = client.send(*LIBRARY, **named(client, **there))
    assert (reply.status, reply.sentence) == (403, security.FOREIGN)
    assert "access-control-allow-origin" not in reply.headers


def test_its_own_page_is_answered(client: Client) -> None:
    own = {"origin": f"http://127.0.0.1:{client.server.port}", "sec_fetch_site": "same-origin"}
    assert client.send(*LIBRARY, **named(client, **own)).status == 200


def test_preflights_are_refused(client: Client) -> None:
    reply = client.send("OPTIONS", "/api/library", origin="http://example.org", access_control_request_method="POST")
    assert reply.status == 403


def test_a_link_on_another_page_leads_to_the_studio(client: Client) -> None:
    """With its cookie, which a redirect from there would not take along; nothing but that script runs."""
    reply = client.send("GET", f"/?token={client.server.token}", sec_fetch_site="cross-site")
    assert reply.status == 200
    assert "set-cookie" in reply.headers
    assert "script-src 'sha256-" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(("method", "path"), [*PATHS, ("GET", "/?token=wrong")])
def test_every_answer_forbids_what_the_page_does_not_need(client: Client, method: str, path: str) -> None:
    headers = client.send(method, path, b"{}", **named(client)).headers
    policy = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_an_upload_of_a_gigabyte_is_refused_before_it_is_read(client: Client) -> None:
    with closing(http.client.HTTPConnection(client.server.host, client.server.port, timeout=10)) as connection:
        connection.putrequest("POST", "/api/photos")
        for name, value in (*client.key.items(), ("content-length", str(2**30))):
            connection.putheader(name, value)
        connection.endheaders()  # nothing of the body is sent
        reply = connection.getresponse()
        assert reply.status == 413
        assert "64 MB" in json.loads(reply.read())["sentence"]


@pytest.mark.parametrize(
    ("path", "most"), [("/api/photos", security.MOST_UPLOAD), ("/api/library", security.MOST_JSON)]
)
def test_a_body_without_a_length_is_read_up_to_its_bound(client: Client, path: str, most: int) -> None:
    """Chunk by chunk, as long as the server takes it: it stops near its bound, not at a gigabyte."""
    chunk, taken = bytes(2**20), 0
    with closing(socket.create_connection((client.server.host, client.server.port), 10)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.server.port}\r\nTransfer-Encoding: chunked\r\n"
        connection.sendall(f"{head}Authorization: {client.key['authorization']}\r\n\r\n".encode())
        try:
            while taken < 2**30:
                connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                taken += len(chunk)
        except OSError:
            pass
    assert most - len(chunk) <= taken < most + 2**24


def test_few_uploads_are_taken_at_once(client: Client) -> None:
    with closing(begun(client)), closing(begun(client)):
        reply = until(client, 503)
        assert "other photos" in reply.sentence
    until(client, 400)


def begun(client: Client) -> socket.socket:
    """An upload that does not go on."""
    connection = socket.create_connection((client.server.host, client.server.port), 10)
    head = f"POST /api/photos HTTP/1.1\r\nHost: 127.0.0.1:{client.server.port}\r\nContent-Length: 1000\r\n"
    connection.sendall(f"{head}Authorization: {client.key['authorization']}\r\n\r\n".encode())
    return connection


def until(client: Client, status: int) -> Reply:
    """What the server says of an upload, when it says this."""
    end = time.monotonic() + 10
    while (reply := client.upload(b"anything")).status != status:
        assert time.monotonic() < end, reply
        time.sleep(0.02)
    return reply


def png(width: int, height: int) -> bytes:
    """A black picture of this size, a thousandth of its pixels long."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(width // 8 + 1)) for _ in range(height)) + packed.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def picture(format: str, size: int = 256, **options: object) -> bytes:
    """A small photo."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((size, size)).save(buffer, format, **options)
    return buffer.getvalue()


def text_bomb() -> bytes:
    """A PNG whose comment is 128 MB of blanks."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", " " * 2**27, zip=True)
    return picture("PNG", pnginfo=info)


def volume() -> bytes:
    """A compressed NIfTI file."""
    return gzip.compress(nifti(np.random.default_rng(0).integers(0, 900, (20, 24, 9)).astype(np.int16)).to_bytes())


def deflated_bomb() -> bytes:
    """A DICOM file of the deflated transfer syntax, whose elements are 4 GB of nothing in 4 MB."""
    plain = dicom(np.zeros((2, 2), np.uint16))
    start = plain.index(b"DICM") + 4
    (length,) = struct.unpack("<I", plain[start + 8 : start + 12])
    meta = plain[start + 12 : start + 12 + length].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    head = plain[:start] + plain[start : start + 8] + struct.pack("<I", len(meta))
    at = meta.index(b"1.2.840.10008.1.2.1.99") - 2
    meta = meta[:at] + struct.pack("<H", 22) + meta[at + 2 :]
    packed = zlib.compressobj(9, wbits=-15)
    zeros = packed.compress(bytes(2**24)) + packed.flush(zlib.Z_FULL_FLUSH)  # after which the same may come again
    return head + meta + zeros * 256 + packed.flush()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
BOMBS = {
    "a picture of 130 megapixels": (lambda: png(130_000, 1000)[:5000], "has more than 64,000,000 pixels"),
    "a picture beyond Pillow's bound": (lambda: png(16_000, 16_000), "pixels: make it smaller"),
    "a comment of 128 MB": (text_bomb, "damaged"),
    "half a PNG": (lambda: picture("PNG")[:2000], "damaged"),
    "half a JPEG": (lambda: picture("JPEG")[:1500], "damaged"),
    "half a TIFF": (lambda: picture("TIFF")[:-9000], "damaged"),
    "SVG": (lambda: SVG, "none of AVIF"),
    "a page": (lambda: b"<html><script>alert(1)</script>", "none of AVIF"),
    "PostScript, which Pillow would run": (lambda: picture("EPS"), "none of AVIF"),
    "a PDF": (lambda: picture("PDF"), "none of AVIF"),
    "nothing": (lambda: b"", "none of AVIF"),
    "noise": (lambda: bytes(range(256)) * 64, "none of AVIF"),
    "a scan of 100 megapixels": (lambda: dicom(np.zeros((2, 2), np.uint16), Rows=10_000, Columns=10_000), "64,000,000"),
    "half a scan": (lambda: dicom(np.zeros((80, 80), np.uint16))[:-9000], "damaged"),
    "a scan whose elements are inflated to 4 GB": (deflated_bomb, "bytes of memory"),
    "half a volume": (lambda: volume()[:2000], "damaged"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_what_is_no_photo_is_refused_in_a_sentence(client: Client, studio: Studio, what: str) -> None:
    made, sentence = BOMBS[what]
    before = len(studio.photos)
    reply = client.upload(made(), "bad.png")
    assert reply.status == 400
    assert sentence in reply.sentence
    assert "bad.png" in reply.sentence
    assert len(studio.photos) == before
    assert client.answer("library")["live"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000"])
def test_photos_are_taken(client: Client, format: str) -> None:
    entry = client.upload(picture(format, size=60 + len(format)), f"disc.{format}").json
    assert (entry["width"], entry["height"]) == (60 + len(format),) * 2
    shown = client.get(f"/{entry['url']}")
    assert shown.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(shown.body)).size == (60 + len(format),) * 2
    assert client.answer("scores", photo=entry["hash"], model="demo")["classes"]


@pytest.mark.parametrize("kind", ["DICOM", "NIfTI", "TIFF of 16 bits", "TIFF of 32 bits", "PNG of 16 bits", "HEIC"])
def test_files_of_scanners_and_phones_are_taken(client: Client, studio: Studio, kind: str) -> None:
    """With all their bits, and by the range that the file declares."""
    pixels = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    made = {
        "DICOM": lambda: dicom(pixels, bits=16),
        "NIfTI": lambda: gzip.compress(nifti(pixels[..., None].astype(np.float32), shown=(0, 65535)).to_bytes()),
        "TIFF of 16 bits": lambda: bands_tiff(pixels),
        "TIFF of 32 bits": lambda: bands_tiff((pixels / 65535).astype(np.float32)),
        "PNG of 16 bits": lambda: deep_png(pixels[..., None]),
        "HEIC": lambda: heic(pixels),
    }[kind]
    reply = client.upload(made(), "scan")
    assert reply.status == 200, reply.sentence
    assert (reply.json["width"], reply.json["height"]) == (64, 48)
    assert client.answer("scores", photo=reply.json["hash"], model="demo")["classes"]
    declared = foveal.Preprocessing((48, 64), "exact", channels="L", mean=0.0, std=1.0)
    seen = load_images(studio.photo(reply.json["hash"]).image, declared).tensor[0, 0]
    np.testing.assert_allclose(seen, pixels / 65535, atol=0.02 if kind == "HEIC" else 1e-5)


def heic(pixels: np.ndarray) -> bytes:
    """As a phone writes it, of 8 bits."""
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    light = np.repeat((pixels // 257).astype(np.uint8)[..., None], 3, 2)
    pillow_heif.from_bytes("RGB", (64, 48), light.tobytes()).save(buffer, quality=-1)
    return buffer.getvalue()


def test_a_file_whose_library_is_missing_names_what_installs_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(formats, "import_module", lambda name: missing(name) if name == "pydicom" else real(name))
    reply = client.upload(dicom(np.zeros((8, 8), np.uint16)), "scan.dcm")
    assert reply.status == 400 and "pip install 'foveal[dicom]'" in reply.sentence


real = formats.import_module


def test_scans_that_look_the_same_are_told_apart(client: Client) -> None:
    """Twelve bits in sixteen are shown stretched: twice as bright looks the same, and is another picture."""
    pixels = np.random.default_rng(0).integers(0, 1024, (20, 20, 1)).astype(np.uint16)
    first, second = (client.upload(deep_png(values), "a.png").json for values in (pixels, pixels * 2))
    assert first["hash"] != second["hash"]


NAMES = ["../../etc/passwd", "<script>alert(1)</script>.png", "a\nb\x1b[31m.png", "\u202egnp.exe", "x" * 900, ""]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_only_text(client: Client, name: str) -> None:
    """JSON all the way: the page sets it as text. Nothing of it is a path, and no terminal obeys it."""
    entry = client.upload(picture("PNG", comment=name.encode()), quote(name, safe="")).json
    assert entry["url"] == f"photos/{entry['hash']}"
    assert entry["hash"].isalnum()
    assert len(entry["name"]) <= 200
    assert not set(entry["name"]) & set("\n\x1b\u202e")


def test_the_oldest_uploads_go(client: Client, studio: Studio) -> None:
    """What the person named on the command line stays."""
    scenes = [photo.hash for photo in studio.photos if photo.scene in demo_scenes()]
    first = client.upload(colored(0), "first.png").json["hash"]
    for number in range(1, MOST_UPLOADS + 1):
        last = client.upload(colored(number), "last.png").json["hash"]
    kept = [photo.hash for photo in studio.photos]
    assert set(scenes) <= set(kept)
    assert last in kept
    assert first not in kept
    assert client.get(f"/photos/{first}").status == 404


def colored(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 1, 2)).save(buffer, "PNG")
    return buffer.getvalue()


PATHS_IN_FIELDS = ["../../../etc/passwd", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "C:\\secret.png", "{code}:make"]
FIELDS = ("photo", "model", "target", "method", "layer")


@pytest.mark.parametrize("text", [*PATHS_IN_FIELDS, "gradcam:{code}:make", "os:getcwd", "antigravity:fly", "{code}"])
def test_no_field_is_a_path(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Whatever stands in them, no file is opened and no code runs; each is refused in a sentence."""
    (tmp_path / "secret.py").write_text("raise SystemExit('code of a stranger ran')")
    monkeypatch.chdir(tmp_path)
    photo = client.answer("library")["photos"][0]["hash"]
    good = {"photo": photo, "model": "demo", "target": "", "method": "gradcam", "layer": None}
    client.answer("decision", **good)
    with files_opened() as opened:
        for field in FIELDS:
            for code in ("secret.py", str(tmp_path / "secret.py")):
                assert UNEXPECTED not in client.problem("decision", **good | {field: text.format(code=code)}), field
        for path in (f"/photos/{text}", f"/{text}", f"/static/{text}", f"/api/jobs/../{text}"):
            assert client.get(quote(path)).status in (404, 405)
    assert not [path for path in opened if "passwd" in path or "secret" in path or "antigravity" in path]


def test_only_the_studio_finds_methods_and_no_page_loads_a_model() -> None:
    """`Studio.method` takes no code; whoever asks the finders themselves might run a file that a page names."""
    folder = Path(security.__file__).parent

    def using(pattern: str) -> set[str]:
        return {file.name for file in folder.rglob("*.py") if re.search(pattern, file.read_text(encoding="utf-8"))}

    assert using(r"\bfind_methods?\b|own_code|own_object") == {"studio.py"}
    assert using(r"\bload_model\b") <= {"handle.py"}  # what Python itself is given


@contextmanager
def files_opened() -> Iterator[list[str]]:
    """The files and modules that this process opens meanwhile."""
    opened: list[str] = []
    listening = [True]

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event in ("open", "os.listdir", "os.scandir", "import"):
            opened.append(repr(arguments[0]))

    sys.addaudithook(hear)
    try:
        yield opened
    finally:
        listening.clear()
