"""Wide networks grown from narrow ones."""

import torch

from training.grow import grow
from training.model import Classifier, architecture_of


def test_a_grown_network_computes_what_the_narrow_one_did() -> None:
    torch.manual_seed(0)
    narrow = Classifier(architecture_of("narrow", 0.125), "average", classes=5)
    wide = Classifier(architecture_of("wide", 0.25), "average", classes=5)
    for _ in range(5):
        narrow(torch.rand(4, 3, 32, 32))
    grow(narrow.state_dict(), wide)
    picture = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(wide.eval()(picture), narrow.eval()(picture), rtol=1e-4, atol=1e-5)


def test_fresh_filters_learn_from_the_first_steps_on() -> None:
    torch.manual_seed(0)
    narrow = Classifier(architecture_of("narrow", 0.125), "average", classes=5)
    wide = Classifier(architecture_of("wide", 0.25), "average", classes=5)
    grow(narrow.state_dict(), wide)
    optimizer = torch.optim.SGD(wide.parameters(), lr=0.1)
    fresh = wide.state_dict()["trunk.convs.conv5_1.weight"].clone()[64:]
    for _ in range(2):  # the first step lets the head hear the fresh filters, the second teaches them
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(wide(torch.rand(4, 3, 32, 32)), torch.arange(4))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert not torch.equal(wide.state_dict()["trunk.convs.conv5_1.weight"][64:], fresh)
