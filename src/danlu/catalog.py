"""Every component by family and name, imported only when it is used.

A plugin adds rows through entry points: group `danlu.FAMILY`, name = the component's name, value = `module:Class`.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points

from danlu.base.errors import DanluError, nearest

CATALOG: dict[str, dict[str, str]] = {
    "sources": {
        "csv": "danlu.prepare.sources.csv:Csv",
        "jsonl": "danlu.prepare.sources.jsonl:JsonLines",
        "parquet": "danlu.prepare.sources.parquet:Parquet",
        "image_folder": "danlu.prepare.sources.image_folder:ImageFolder",
        "audio_folder": "danlu.prepare.sources.audio_folder:AudioFolder",
        "idx": "danlu.prepare.sources.idx:Idx",
        "npz": "danlu.prepare.sources.npz:Npz",
        "ts": "danlu.prepare.sources.ts:Ts",
        "conll": "danlu.prepare.sources.conll:Conll",
        "excel": "danlu.prepare.sources.excel:Excel",
        "hugging_face": "danlu.prepare.sources.hugging_face:HuggingFace",
        "sql": "danlu.prepare.sources.sql:Sql",
        "sample": "danlu.prepare.sources.sample:Sample",
        "frame": "danlu.prepare.sources.frame:Frame",
    },
    "columns": {
        "number": "danlu.columns.number:Number",
        "category": "danlu.columns.category:Category",
        "boolean": "danlu.columns.boolean:Boolean",
        "datetime": "danlu.columns.datetime:Datetime",
        "image": "danlu.columns.image:Image",
        "series": "danlu.columns.series:Series",
        "audio": "danlu.columns.audio:Audio",
        "tokens": "danlu.columns.tokens:Tokens",
        "text": "danlu.columns.text:Text",
        "set": "danlu.columns.sets:Set",
        "tags": "danlu.columns.tags:Tags",
        "pair": "danlu.columns.pair:Pair",
        "ignore": "danlu.columns.ignore:Ignore",
    },
    "fillers": {
        "group": "danlu.columns.fillers.group:Group",
        "time": "danlu.columns.fillers.time:Time",
        "neighbors": "danlu.columns.fillers.neighbors:Neighbors",
        "iterative": "danlu.columns.fillers.iterative:Iterative",
    },
    "masks": {
        "drop": "danlu.columns.masks.drop:Drop",
        "hash": "danlu.columns.masks.hash:Hash",
        "pseudonym": "danlu.columns.masks.pseudonym:Pseudonym",
        "generalize": "danlu.columns.masks.generalize:Generalize",
        "redact": "danlu.columns.masks.redact:Redact",
    },
    "tasks": {
        "binary": "danlu.tasks.classification:Binary",
        "multiclass": "danlu.tasks.classification:MultiClass",
        "regression": "danlu.tasks.regression:Regression",
        "quantiles": "danlu.tasks.quantiles:Quantiles",
        "multilabel": "danlu.tasks.multilabel:MultiLabel",
        "tagging": "danlu.tasks.tagging:Tagging",
        "contrastive": "danlu.tasks.contrastive:Contrastive",
    },
    "losses": {
        "mse": "danlu.tasks.losses:Mse",
        "mae": "danlu.tasks.losses:Mae",
        "huber": "danlu.tasks.losses:Huber",
        "quantile": "danlu.tasks.losses:Quantile",
        "poisson": "danlu.tasks.losses:Poisson",
        "cross_entropy": "danlu.tasks.losses:CrossEntropy",
        "focal": "danlu.tasks.losses:Focal",
        "brier": "danlu.tasks.brier:Brier",
        "binary_cross_entropy": "danlu.tasks.joint_losses:BinaryCrossEntropy",
        "tag_cross_entropy": "danlu.tasks.joint_losses:TagCrossEntropy",
        "info_nce": "danlu.tasks.joint_losses:InfoNce",
    },
    "encoders": {
        "mlp": "danlu.design.encoders.mlp:Mlp",
        "table_resnet": "danlu.design.encoders.table_resnet:TableResNet",
        "ft_transformer": "danlu.design.encoders.ft_transformer:FtTransformer",
        "tabm": "danlu.design.encoders.tabm:TabM",
        "cnn": "danlu.design.encoders.cnn:Cnn",
        "lenet": "danlu.design.encoders.lenet:Lenet",
        "vgg": "danlu.design.encoders.vgg:Vgg",
        "resnet": "danlu.design.encoders.resnet:Resnet",
        "vit": "danlu.design.encoders.vit:Vit",
        "lstm": "danlu.design.encoders.lstm:Lstm",
        "gru": "danlu.design.encoders.gru:Gru",
        "rnn": "danlu.design.encoders.rnn:Rnn",
        "tcn": "danlu.design.encoders.tcn:Tcn",
        "inception_time": "danlu.design.encoders.inception_time:InceptionTime",
        "patch_transformer": "danlu.design.encoders.patch_transformer:PatchTransformer",
        "spectrogram_cnn": "danlu.design.encoders.spectrogram_cnn:SpectrogramCnn",
        "bag": "danlu.design.encoders.bag:Bag",
        "text_cnn": "danlu.design.encoders.text_cnn:TextCnn",
        "transformer": "danlu.design.encoders.transformer:Transformer",
        "tagger": "danlu.design.encoders.tagger:Tagger",
        "pretrained": "danlu.design.encoders.pretrained:Pretrained",
    },
    "fusions": {
        "concat": "danlu.design.fusion.concat:Concat",
        "gated": "danlu.design.fusion.gated:Gated",
        "attention": "danlu.design.fusion.attention:Attention",
        "tokens": "danlu.design.fusion.tokens:Tokens",
        "pair": "danlu.design.fusion.pair:Pair",
        "towers": "danlu.design.fusion.towers:Towers",
    },
    "heads": {
        "default": "danlu.design.heads.vector:VectorHead",
        "binary": "danlu.design.heads.vector:BinaryHead",
        "multiclass": "danlu.design.heads.vector:MultiClassHead",
        "regression": "danlu.design.heads.vector:RegressionHead",
        "multilabel": "danlu.design.heads.vector:MultiLabelHead",
        "quantiles": "danlu.design.heads.quantiles:QuantileHead",
        "tagging": "danlu.design.heads.tagging:TaggingHead",
        "contrastive": "danlu.design.heads.contrastive:ContrastiveHead",
    },
    "optimizers": {
        "auto": "danlu.train.weights.optimizers:Auto",
        "sgd": "danlu.train.weights.optimizers:Sgd",
        "adam": "danlu.train.weights.optimizers:Adam",
        "adamw": "danlu.train.weights.optimizers:AdamW",
        "rmsprop": "danlu.train.weights.optimizers:RmsProp",
        "adagrad": "danlu.train.weights.optimizers:Adagrad",
        "muon": "danlu.train.weights.muon:Muon",
    },
    "schedules": {
        "auto": "danlu.train.weights.schedules:Auto",
        "constant": "danlu.train.weights.schedules:Constant",
        "step": "danlu.train.weights.schedules:Step",
        "cosine": "danlu.train.weights.schedules:Cosine",
        "cosine_restarts": "danlu.train.weights.schedules:CosineRestarts",
        "linear": "danlu.train.weights.schedules:Linear",
        "exponential": "danlu.train.weights.schedules:Exponential",
        "polynomial": "danlu.train.weights.schedules:Polynomial",
        "warmup_stable_decay": "danlu.train.weights.schedules:WarmupStableDecay",
        "one_cycle": "danlu.train.weights.schedules:OneCycle",
        "plateau": "danlu.train.weights.schedules:Plateau",
    },
    "augmentations": {
        "flip": "danlu.train.rows.augmentations.flip:Flip",
        "crop": "danlu.train.rows.augmentations.crop:Crop",
        "resized_crop": "danlu.train.rows.augmentations.resized_crop:ResizedCrop",
        "colour": "danlu.train.rows.augmentations.colour:Colour",
        "erase": "danlu.train.rows.augmentations.erase:Erase",
        "rand_augment": "danlu.train.rows.augmentations.rand_augment:RandAugment",
        "mixup": "danlu.train.rows.augmentations.mixup:MixUp",
        "cutmix": "danlu.train.rows.augmentations.cutmix:CutMix",
        "spec_augment": "danlu.train.rows.augmentations.spec_augment:SpecAugment",
    },
    "averages": {
        "ema": "danlu.train.weights.averages:Ema",
        "swa": "danlu.train.weights.averages:Swa",
    },
    "shuffles": {
        "auto": "danlu.train.rows.shuffles:Auto",
        "full": "danlu.train.rows.shuffles:Full",
        "blocks": "danlu.train.rows.shuffles:Blocks",
    },
    "trackers": {"mlflow": "danlu.train.watching.mlflow:MlFlow"},
    "metrics": {
        "accuracy": "danlu.evaluate.metrics:Accuracy",
        "balanced_accuracy": "danlu.evaluate.metrics:BalancedAccuracy",
        "precision": "danlu.evaluate.metrics:Precision",
        "recall": "danlu.evaluate.metrics:Recall",
        "f1": "danlu.evaluate.metrics:F1",
        "roc_auc": "danlu.evaluate.metrics:RocAuc",
        "pr_auc": "danlu.evaluate.metrics:PrAuc",
        "log_loss": "danlu.evaluate.metrics:LogLoss",
        "mse": "danlu.evaluate.metrics:Mse",
        "mae": "danlu.evaluate.metrics:Mae",
        "r2": "danlu.evaluate.metrics:R2",
        "f1_micro": "danlu.evaluate.set_metrics:F1Micro",
        "f1_macro": "danlu.evaluate.set_metrics:F1Macro",
        "subset_accuracy": "danlu.evaluate.set_metrics:SubsetAccuracy",
        "hamming_loss": "danlu.evaluate.set_metrics:HammingLoss",
        "roc_auc_macro": "danlu.evaluate.set_metrics:RocAucMacro",
        "pr_auc_macro": "danlu.evaluate.set_metrics:PrAucMacro",
        "entity_f1": "danlu.evaluate.entity_metrics:EntityF1",
        "entity_precision": "danlu.evaluate.entity_metrics:EntityPrecision",
        "entity_recall": "danlu.evaluate.entity_metrics:EntityRecall",
        "entity_f1_macro": "danlu.evaluate.entity_metrics:EntityF1Macro",
        "token_accuracy": "danlu.evaluate.entity_metrics:TokenAccuracy",
        "pinball": "danlu.evaluate.quantile_metrics:Pinball",
        "coverage_error": "danlu.evaluate.quantile_metrics:CoverageError",
        "interval_width": "danlu.evaluate.quantile_metrics:IntervalWidth",
        "recall_at_1": "danlu.evaluate.pair_metrics:RecallAt1",
        "recall_at_5": "danlu.evaluate.pair_metrics:RecallAt5",
        "recall_at_10": "danlu.evaluate.pair_metrics:RecallAt10",
        "median_rank": "danlu.evaluate.pair_metrics:MedianRank",
    },
    "variants": {
        "int8_dynamic": "danlu.compress.quantize:Int8Dynamic",
        "int8_static": "danlu.compress.quantize:Int8Static",
    },
    "exporters": {"onnx": "danlu.export.onnx:Onnx"},
}


@cache
def names(family: str) -> tuple[str, ...]:
    """The names in a family, the catalogue's first, then the plugins'."""
    plugins = [point.name for point in entry_points(group=f"danlu.{family}")]
    return tuple(dict.fromkeys([*CATALOG[family], *plugins]))


@cache
def find(family: str, name: str) -> type:
    """The component of that name, imported.

    Raises:
        DanluError: the family has no such name; the hint names the nearest.
    """
    if address := CATALOG[family].get(name):
        module, _, attribute = address.partition(":")
        component: type = getattr(importlib.import_module(module), attribute)
        return component
    for point in entry_points(group=f"danlu.{family}", name=name):
        plugin: type = point.load()
        return plugin
    near = nearest(name, names(family))
    raise DanluError(
        f"{name} is not one of {family}: {', '.join(names(family))}", hint=f"did you mean {near}?" if near else ""
    )
