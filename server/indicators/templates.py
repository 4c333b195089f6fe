"""The five schemes that one starts from. Weights as PRODUCT has them; those that do not sum to 100 are normalised."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from server.indicators.catalogue import PROCESS

TEMPLATE_NAMES: Mapping[str, tuple[str, str]] = {
    "balanced": ("Balanced", "均衡型"),
    "new_business": ("New business", "新客开拓型"),
    "existing_business": ("Existing business", "老客经营型"),
    "regional": ("Regional", "区域管理型"),
    "field_only": ("Field only", "仅外勤过程"),
}


def _process(code: str, weight: str) -> dict[str, Any]:
    one = PROCESS[code]
    return {
        "code": code,
        "name": one.name,
        "name_zh": one.name_zh,
        "kind": "process",
        "source": "facts",
        "direction": one.direction,
        "weight": weight,
        "cap": None,
        "unit": one.unit,
        "period": None,
        "combine": None,
        "target": None if one.target is None else str(one.target),
    }


def _value(
    code: str, name: str, name_zh: str, kind: str, weight: str, unit: str, combine: str, period: str
) -> dict[str, Any]:
    return {
        "code": code,
        "name": name,
        "name_zh": name_zh,
        "kind": kind,
        "source": "values",
        "direction": "higher",
        "weight": weight,
        "cap": None,
        "unit": unit,
        "period": period,
        "combine": combine,
        "target": None,
    }


def _behaviour_and_ability() -> list[dict[str, Any]]:
    return [
        _process("valid_visits", "10"),
        _process("response_time", "8"),
        _value("teamwork", "Teamwork", "团队协作", "ability", "7", "points", "mean", "month"),
        _value("compliance", "Compliance", "合规", "ability", "5", "points", "mean", "month"),
        _value("product", "Product knowledge", "产品知识", "ability", "5", "points", "last", "quarter"),
        _value("negotiation", "Negotiation", "谈判能力", "ability", "5", "points", "last", "quarter"),
        _value("learning", "Learning", "学习能力", "ability", "5", "points", "last", "quarter"),
        _value("relationship", "Relationship", "客情维护", "ability", "5", "points", "last", "quarter"),
    ]


TEMPLATES: Mapping[str, list[dict[str, Any]]] = {
    "balanced": [
        _process("valid_visits", "20"),
        _process("opportunities_done", "10"),
        _value("deal_amount", "Deal amount", "成交金额", "result", "40", "money", "sum", "month"),
        _value("orders", "Orders", "订单数", "result", "10", "count", "sum", "month"),
        _value("product_exam", "Product exam", "产品考试", "ability", "10", "points", "last", "quarter"),
        _value(
            "customer_satisfaction",
            "Customer satisfaction",
            "客户满意度",
            "satisfaction",
            "10",
            "points",
            "mean",
            "quarter",
        ),
    ],
    "new_business": [
        _value(
            "new_customer_sales",
            "New-customer sales",
            "新客户销售额",
            "result",
            "30",
            "money",
            "sum",
            "month",
        ),
        _process("new_customers", "25"),
        _process("conversion", "15"),
        *_behaviour_and_ability(),
    ],
    "existing_business": [
        _value("repurchase_rate", "Repurchase rate", "复购率", "result", "30", "share", "last", "month"),
        _value("upsell", "Upgrade and cross-sell", "升级与交叉销售", "result", "25", "money", "sum", "month"),
        _value("collection_rate", "Collection rate", "回款率", "result", "15", "share", "last", "month"),
        *_behaviour_and_ability(),
    ],
    "regional": [
        _value("attainment", "Attainment", "业绩达成率", "result", "35", "share", "last", "month"),
        _value("market_share", "Market share", "市场占有率", "result", "25", "share", "last", "quarter"),
        _value("sales_per_head", "Sales per head", "人均销售额", "result", "10", "money", "last", "month"),
        *_behaviour_and_ability(),
    ],
    "field_only": [_process(code, "1") for code in PROCESS],
}
"""Name -> indicators, as the field `indicators` of a `scheme` holds them."""

SUMS: Mapping[str, Decimal] = {
    name: sum((Decimal(row["weight"]) for row in rows), Decimal(0)) for name, rows in TEMPLATES.items()
}
"""What the weights of each sum to, so that one may be told that they are normalised."""
