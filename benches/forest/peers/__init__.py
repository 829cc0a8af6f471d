"""The forests that are compared, by name."""

from __future__ import annotations

from peers.base import Fit, Peer
from peers.biosphere import Biosphere
from peers.boosters import LightGBM, XGBoost
from peers.ours import Ours
from peers.programs import Linfa, Program, Ranger, Smartcore
from peers.scikit_learn import ScikitLearn, ScikitLearnIntelex
from peers.ydf import Ydf

__all__ = ["PEERS", "Fit", "Peer", "Program"]

PEERS: dict[str, type[Peer | Program]] = {
    peer.name: peer
    for peer in (
        Ours, ScikitLearn, ScikitLearnIntelex, LightGBM, XGBoost, Ydf, Ranger, Biosphere, Smartcore, Linfa
    )
}  # fmt: skip
