// Every word that the page shows. Korean; another language is another object of this shape.

import type { ConnectionState } from "../client/connection.ts";
import { CallerKind } from "../gen/ringpad/v1/call_pb.ts";
import type { Phase } from "./board.ts";

type StateKind = ConnectionState["kind"];

export const text = {
  phase: {
    ringing: "전화 왔습니다",
    unknown: "결과 미확인",
    answered: "통화 중",
    ended: "통화 종료",
    missed: "부재중",
  } satisfies Record<Phase, string>,

  /** The same in a list, where there is little room. */
  listed: {
    ringing: "전화 오는 중",
    unknown: "결과 미확인",
    answered: "통화 중",
    ended: "통화 종료",
    missed: "부재중",
  } satisfies Record<Phase, string>,

  connection: {
    connecting: "연결 중…",
    connected: "연결됨",
    reconnecting: "다시 연결 중…",
    "needs-token": "토큰이 필요합니다",
    forbidden: "권한이 없습니다",
    "no-store": "매장이 없습니다",
    replaced: "연결이 대체됨",
    closed: "연결 끊김",
  } satisfies Record<StateKind, string>,

  /** What a person should know or do about it. */
  advice: {
    reconnecting: "연결이 끊겼습니다. 자동으로 다시 연결하며, 그 사이에 온 전화도 빠짐없이 표시합니다.",
    "needs-token": "이 패드의 접속 링크를 다시 열어 주세요. 링크는 관리자에게 받을 수 있습니다.",
    forbidden: "이 주소에서는 매장의 전화를 볼 수 없습니다. 관리자에게 문의해 주세요.",
    "no-store": "이 패드에 연결된 매장을 찾을 수 없습니다. 관리자에게 문의해 주세요.",
    replaced: "다른 화면이 이 연결을 이어받았습니다.",
  } satisfies Partial<Record<StateKind, string>> as Partial<Record<StateKind, string>>,

  nameless: {
    [CallerKind.UNSPECIFIED]: "번호 없음",
    [CallerKind.NUMBER]: "번호 없음",
    [CallerKind.WITHHELD]: "발신번호 표시제한",
    [CallerKind.PAYPHONE]: "공중전화",
    [CallerKind.UNAVAILABLE]: "발신번호 확인 불가",
    [CallerKind.UNPARSED]: "번호 확인 불가",
  } satisfies Record<CallerKind, string>,

  waiting: "전화를 기다리고 있습니다",
  firstCall: "첫 전화",
  nthCall: (n: number) => `${n}번째 전화`,
  lastCall: (day: string) => `지난 통화 ${day}`,
  claimedBy: (pad: string) => `${pad}에서 받음`,
  dialled: (number: string) => `받은 번호 ${number}`,
  dismiss: "닫기",
  callBack: "다시 걸기",
  callBackTo: (number: string) => `${number} 다시 걸기`,
  today: "오늘",
  yesterday: "어제",
  soundOn: "소리 켜짐",
  soundOff: "소리 꺼짐",
  talked: (minutes: number, seconds: number) =>
    minutes > 0 ? `통화 ${minutes}분 ${seconds}초` : `통화 ${seconds}초`,
  announce: (number: string, customer: string) => `전화 왔습니다. ${number}. ${customer}`,
};
