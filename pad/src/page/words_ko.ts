// Every word that the page shows, in Korean. Other languages are objects of the same shape.

import type { ConnectionState } from "../client/listener.ts";
import type { ApprovalFailure } from "./approval_panel.ts";
import type { PairingState } from "./pairing.ts";
import type { ActionFailure } from "../client/action_error.ts";
import { CallerKind } from "../gen/ringpad/v1/call_pb.ts";
import type { DayFigures } from "./day.ts";
import type { Phase } from "./phase.ts";
import type { TokenFault } from "./token.ts";

type StateKind = ConnectionState["kind"];

const phase: Record<Phase, string> = {
  ringing: "전화가 왔습니다",
  unknown: "통화 여부 확인 안 됨",
  answered: "통화 중",
  ended: "통화 종료",
  missed: "부재중",
};

const connection: Record<StateKind, string> = {
  connecting: "연결 중…",
  connected: "연결됨",
  reconnecting: "다시 연결 중…",
  "needs-token": "태블릿 등록이 필요합니다",
  forbidden: "접속 권한이 없습니다",
  "no-store": "매장을 찾을 수 없습니다",
  replaced: "다른 화면에서 사용 중",
  closed: "연결 끊김",
};

/** What a person should know or do about it. */
const advice: Partial<Record<StateKind, string>> = {
  reconnecting: "연결이 끊겼습니다. 자동으로 다시 연결하며, 그 사이에 온 전화도 빠짐없이 표시합니다.",
  forbidden: "이 주소에서는 매장의 전화를 볼 수 없습니다. 관리자에게 문의해 주세요.",
  "no-store": "이 태블릿이 등록된 매장을 찾을 수 없습니다. 관리자에게 문의해 주세요.",
  replaced: "다른 화면에서 사용 중입니다. 이 화면에서 보려면 다시 연결해 주세요.",
};

/** Where the server takes no token. */
const noToken: Record<TokenFault, string> = {
  none: "태블릿 등록이 필요합니다. 관리자에게 받은 접속 링크를 이 태블릿에서 열어 주세요.",
  expired: "태블릿 등록 기간이 끝났습니다. 관리자에게 새 접속 링크를 받아 이 태블릿에서 열어 주세요.",
  wrong: "태블릿 등록 정보가 맞지 않습니다. 관리자에게 새 접속 링크를 받아 이 태블릿에서 열어 주세요.",
};

/** A tablet that is not registered. */
const pairing: Record<Exclude<PairingState["kind"], "unavailable">, string> = {
  starting: "등록 코드를 받는 중입니다…",
  code: "이 태블릿을 등록해 주세요. 이미 등록된 태블릿의 설정에서 ‘태블릿 추가’를 누르고 이 코드를 입력하거나, 관리자에게 이 코드를 알려 주세요.",
  full: "등록을 기다리는 태블릿이 너무 많습니다. 잠시 뒤 자동으로 다시 시도합니다.",
  offline: "서버에 연결하지 못해 등록 코드를 받지 못했습니다. 자동으로 다시 시도합니다.",
};

/** Why another tablet was not approved. */
const notApproved: Record<ApprovalFailure, string> = {
  noCode: "이 코드를 보이는 태블릿이 없습니다. 코드는 몇 분마다 바뀌니, 지금 보이는 코드를 입력해 주세요.",
  tooMany: "틀린 코드를 너무 많이 입력했습니다. 잠시 뒤 다시 시도해 주세요.",
  refused: "이 태블릿으로는 승인할 수 없습니다. 관리자에게 문의해 주세요.",
  faulty: "코드 여섯 자리와 태블릿 이름을 입력해 주세요.",
  unavailable: "이 서버에서는 코드로 등록할 수 없습니다. 관리자에게 문의해 주세요.",
  offline: "응답이 없어 승인되었는지 확인하지 못했습니다. 그 태블릿에 코드가 그대로 있으면 다시 눌러 주세요.",
};

const nameless: Record<CallerKind, string> = {
  [CallerKind.UNSPECIFIED]: "번호 없음",
  [CallerKind.NUMBER]: "번호 없음",
  [CallerKind.WITHHELD]: "발신번호 표시제한",
  [CallerKind.PAYPHONE]: "공중전화",
  [CallerKind.UNAVAILABLE]: "발신번호 확인 불가",
  [CallerKind.UNPARSED]: "번호 확인 불가",
};

/** Why nothing came of a tap, as far as we know, where no pad was first. */
const failed: Record<Exclude<ActionFailure, "claimed">, string> = {
  "not-found": "이 전화를 찾을 수 없습니다.",
  refused: "지금은 처리할 수 없습니다. 관리자에게 문의해 주세요.",
  "no-token": "태블릿 등록이 끝나 처리하지 못했습니다. 관리자에게 문의해 주세요.",
  offline: "응답이 없어 처리되었는지 확인하지 못했습니다. 화면이 그대로면 다시 눌러 주세요.",
};

/** Why a tap did nothing, if another pad has the call and its name is not known. */
const lost = {
  claim: "다른 태블릿에서 먼저 응대하고 있습니다.",
  release: "다른 태블릿에서 응대 중인 전화입니다.",
};

export const ko = {
  phase,
  /** The same in a list, where there is little room. */
  listed: { ...phase, ringing: "전화 오는 중" },
  connection,
  advice,
  noToken,
  pairing,
  notApproved,
  nameless,
  failed,
  lost,

  cutOff: "지금 이 태블릿에는 전화가 표시되지 않습니다",
  meanwhile: "그동안 걸려 오는 전화는 전화기에서 확인해 주세요. 적어 둔 내용은 이 태블릿에 남아 있습니다.",
  waiting: "전화를 기다리고 있습니다",
  day: ({ calls, answered, missed, booked }: DayFigures) =>
    `오늘 전화 ${calls} · 받음 ${answered} · 부재중 ${missed} · 예약 잡은 전화 ${booked}`,
  inHand: "응대 중",
  firstCall: "처음 전화한 손님",
  knownCustomer: "등록된 손님",
  nthCall: (n: number) => `${n}번째 전화`,
  lastCall: (day: string) => `지난 통화 ${day}`,
  claimedBy: (pad: string) => `${pad}에서 응대 중`,
  anotherPad: "다른 태블릿",
  dialled: (number: string) => `받은 번호 ${number}`,
  booked: (what: string) => `예약 ${what}`,
  lastBooked: (what: string) => `지난 예약 ${what}`,

  claim: "내가 응대",
  release: "응대 취소",
  done: "완료",
  doneWith: (number: string) => `${number} 완료`,
  dismiss: "숨기기",
  write: "예약·메모",
  callBack: "다시 걸기",
  callBackTo: (number: string) => `${number} 다시 걸기`,
  openCall: "예약·메모 열기",

  reservation: "예약",
  customerName: "이름",
  carNumber: "차량 번호",
  service: "서비스",
  date: "날짜",
  time: "시간",
  note: "메모",
  whoCalls: "누구인가요?",
  services: "자주 찾는 서비스",
  days: "날짜 고르기",
  times: "시간 고르기",
  hour: (hour: number) => `${hour}시`,
  save: "저장",
  saving: "저장 중…",
  saved: "저장했습니다",
  unsaved: "아직 저장하지 않았습니다",
  savedLater: "연결되면 저장합니다",
  closedLater: "연결되면 완료로 표시합니다",
  reopenedLater: "연결되면 완료 표시를 되돌립니다",
  undo: "되돌리기",
  undoable: (number: string) => `${number} 완료로 표시했습니다`,
  undoableMany: (calls: number) => `부재중 ${calls}건을 완료로 표시했습니다`,
  reservations: "예약",
  reservationsOf: (day: string, count: number) => `${day} 예약 ${count}건`,
  noReservations: "이날은 예약이 없습니다",
  reservationsFailed: "지금은 예약을 볼 수 없습니다. 잠시 뒤 날짜를 다시 골라 주세요.",
  change: "변경",
  cancelReservation: "예약 취소",
  cancelled: (reservation: string) => `${reservation} 예약을 취소했습니다`,
  customerRecord: "손님 기록",
  nobody: "이름이나 차량 번호를 입력해 주세요.",
  customerFailed: "지금은 기록을 볼 수 없습니다.",
  tryAgain: "다시 시도",
  settingsTitle: "이 태블릿의 설정",
  settingsShort: "설정",
  settings: {
    disturb: "방해 금지",
    tone: "벨 소리",
    volume: "소리 크기",
    size: "글자 크기",
    hours: "영업 시간",
    services: "서비스",
    lines: "받은 번호 이름",
    callers: "이름표와 조용히 할 번호",
    notify: "다른 화면을 볼 때 알림",
    dim: "밤에 화면 어둡게",
  },
  options: { bell: "종", chime: "차임", phone: "전화기", normal: "보통", large: "크게", largest: "아주 크게" },
  testTone: (tone: string) => `${tone} 소리 들어 보기`,
  disturbFor: (minutes: number) => (minutes < 60 ? `${minutes}분` : `${minutes / 60}시간`),
  disturbLasts: (when: string) => `${when}까지`,
  disturbOff: "끄기",
  disturbUntil: (when: string) => `방해 금지 · ${when}까지`,
  disturbOver: (calls: number) => `방해 금지 중에 온 전화 ${calls}건 · 확인`,
  disturbHint: "그동안 온 전화는 울리지 않고 목록에만 표시합니다.",
  closedNow: "영업 시간이 아니어서 울리지 않습니다",
  closedUntil: (when: string) => `영업 시간 외 · ${when}부터 울립니다`,
  hoursOn: "영업 시간에만 울림",
  hoursHint: "영업 시간 외에 온 전화는 목록에만 표시합니다. 닫는 시간은 자정을 넘어도 됩니다.",
  opens: "여는 시간",
  closes: "닫는 시간",
  dayClosed: "쉬는 날",
  everyDayAs: (day: string) => `모든 요일을 ${day}과 같게`,
  nameOf: (number: string) => `${number} 이름`,
  servicesExample: "예: 손세차, 실내 세차, 광택",
  servicesHint: (most: number) => `쉼표로 나누어 ${most}개까지 적습니다. 예약할 때 한 번 눌러 고릅니다.`,
  lineExample: "예: 네이버 예약용",
  noLines: "전화가 오면 받은 번호가 여기에 표시됩니다.",
  labelOf: (number: string) => `${number} 이름표`,
  label: "이름표",
  labelExample: "이름표 (예: 광고)",
  silent: "조용히",
  silenceNumber: "이 번호 조용히",
  removeNumber: (number: string) => `${number} 설정 지우기`,
  noCallers: "전화 카드의 손님 기록에서 번호에 이름표를 붙이거나 조용히 할 수 있습니다.",
  notifyOn: "알림 켜기",
  notifyHint: "손님 이름만 표시하고 전화번호는 표시하지 않습니다.",
  dimOn: "밤에 어둡게",
  dimFrom: "어두워지는 시간",
  dimUntil: "밝아지는 시간",
  dimHint: "전화가 오면 바로 밝아집니다.",
  cannotApprove: "이 기기는 아직 등록되지 않아 다른 태블릿을 승인할 수 없습니다.",
  pairingCode: "등록 코드",
  addTablet: "태블릿 추가",
  tabletName: "태블릿 이름 (예: 계산대)",
  approveQuestion: "이 코드를 보이는 태블릿을 우리 매장 태블릿으로 승인할까요? 그 태블릿에 매장의 전화가 표시됩니다.",
  approve: "승인",
  approving: "승인하는 중…",
  approved: (name: string) => `${name} 태블릿을 승인했습니다. 곧 전화가 표시됩니다.`,
  allDone: "모두 완료",
  timesMissed: (calls: number) => `${calls}번`,
  missedCut: "오래된 부재중은 여기에 다 표시하지 못했습니다. 번호로 찾아 주세요.",
  missedSince: "지난 7일 동안 온 부재중 전화를 표시합니다.",
  recentCut: "더 오래된 통화는 위에서 찾아 주세요.",
  closePanel: "닫기",
  dialHere: "이 기기로 걸기",
  scanToDial: "휴대폰 카메라로 찍으면 바로 걸 수 있습니다.",
  reached: "통화했습니다",
  notReached: "받지 않습니다",
  reachedNote: "다시 걸어 통화함",
  notReachedNote: "다시 걸었으나 받지 않음",
  noteTooLong: "메모가 너무 길어 결과를 적지 못했습니다. 메모를 줄여 주세요.",

  calls: "걸려 온 전화",
  alsoRinging: "지금 울리는 다른 전화",
  missed: "부재중",
  noMissed: "부재중 전화가 없습니다",
  recent: "최근 통화",
  noRecent: "아직 걸려 온 전화가 없습니다",
  closed: "완료",
  search: "번호, 이름, 차량, 메모 찾기",
  searchHint: "번호, 이름, 차량",
  clearSearch: "검색 지우기",
  found: (query: string) => `${query} 검색 결과`,
  searching: "찾는 중…",
  noneFound: "찾는 전화가 없습니다",
  searchFailed: "지금은 찾을 수 없습니다. 잠시 뒤 다시 입력해 주세요.",
  more: "더 보기",
  less: "접기",

  today: "오늘",
  yesterday: "어제",
  tomorrow: "내일",
  sound: "소리",
  soundOn: "켜짐",
  soundOff: "꺼짐",
  unlock: "화면을 눌러 소리 켜기",
  reconnect: "다시 연결",
  talked: (minutes: number, seconds: number) =>
    minutes > 0 ? `통화 ${minutes}분 ${seconds}초` : `통화 ${seconds}초`,
  announce: (number: string, customer: string) => `전화가 왔습니다. ${number}. ${customer}`,
  announceHeld: (number: string, pad: string) => `${number}, ${pad}에서 응대 중`,
};

/** The shape of a language. */
export type Words = typeof ko;
