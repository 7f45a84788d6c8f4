"""What may stand in a remote command line."""

import pytest

from ot2deploy.transport import Output, command


def test_words_that_no_shell_misreads():
    assert command("python3", "-I", "/var/ot2deploy/agent/ab12.pyz") == "python3 -I /var/ot2deploy/agent/ab12.pyz"


@pytest.mark.parametrize("word", ["", "a b", "$HOME", "a;b", "a'b", "é", "a\n", "~", "*", "a=b"])
def test_anything_else_is_refused(word):
    with pytest.raises(ValueError, match="not fit"):
        command("cat", word)


def test_output_as_text():
    output = Output(status=0, stdout=b"caf\xc3\xa9\xff", stderr=b" no \n")
    assert (output.text, output.error) == ("café\ufffd", "no")
