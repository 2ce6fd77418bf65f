import pytest

from interlock.server.mlflow.contents import disposition, media_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MLmodel", "text/plain"),
        ("notes.TXT", "text/plain"),
        ("page.html", "text/plain"),
        ("drawing.svg", "text/plain"),
        ("script.js", "text/plain"),
        ("a.tar.gz", "application/octet-stream"),
        ("model.pkl", "application/octet-stream"),
        ("page.xhtml", "application/octet-stream"),
        ("picture.png", "image/png"),
        ("report.pdf", "application/pdf"),
        ("", "application/octet-stream"),
    ],
)
def test_no_media_type_is_one_that_a_browser_runs(name: str, expected: str) -> None:
    assert media_type(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dog+step+20.png", b"attachment; filename=dog+step+20.png"),
        ("a b", b"attachment; filename*=UTF-8''a%20b"),
        ('a"; filename="b', b"attachment; filename*=UTF-8''a%22%3B%20filename%3D%22b"),
        ("é\r\nx: y", b"attachment; filename*=UTF-8''%C3%A9%0D%0Ax%3A%20y"),
        ("100%", b"attachment; filename*=UTF-8''100%25"),
    ],
)
def test_a_name_is_written_plainly_where_it_can_be(name: str, expected: bytes) -> None:
    assert disposition(name) == expected
