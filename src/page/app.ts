/** The page: its state and its parts, which it connects. */
import type { WorkerClient } from '../client/client.ts';
import { Announcer } from './controls/announcer.ts';
import { ParametersDialog } from './controls/parameters-dialog.ts';
import { applyTheme } from './controls/theme.ts';
import type { Actions } from './conversation/actions.ts';
import { Composer } from './conversation/composer.ts';
import { ConversationView } from './conversation/conversation-view.ts';
import { Welcome } from './conversation/welcome.ts';
import { framed } from './dom.ts';
import { newAnswer } from './state/answer.ts';
import { type AnswerTurn, Conversation, type NewTurn, type Turn } from './state/conversation.ts';
import { firstProblem, type Parameters, requestFields, summary } from './state/parameters.ts';
import { Saver } from './state/saver.ts';
import { readTab, readTaste, readToken, type Taste, writeTaste, writeToken } from './state/storage.ts';
import { StoryPanel } from './story/panel.ts';
import { Banner } from './worker/banner.ts';
import { clientWith, newJobId } from './worker/connect.ts';
import { HealthPoll, type WorkerView } from './worker/health-poll.ts';
import { now, Runner } from './worker/runner.ts';
import { TokenDialog } from './worker/token-dialog.ts';
import { WorkerBar } from './worker/worker-view.ts';

export class App {
  readonly worker = new WorkerBar();
  readonly banner = new Banner();
  readonly announcer = new Announcer();
  readonly story: StoryPanel;
  readonly view: ConversationView;
  readonly welcome: Welcome;
  readonly composer: Composer;
  readonly parameters: ParametersDialog;
  readonly token: TokenDialog;
  readonly health: HealthPoll;
  readonly #runner: Runner;
  readonly #saver: Saver;
  readonly #draw = framed(() => this.#drawNow());
  #client: WorkerClient;
  #conversation: Conversation;
  #given: Parameters;
  #taste = readTaste();
  /** The turn whose story is shown. */
  #told: string | undefined;
  /** Shows or hides the story on a narrow screen. */
  onStory: (isWanted: boolean) => void = () => undefined;

  constructor() {
    const { conversation, parameters = {}, draft = '' } = readTab();
    this.#conversation = new Conversation(conversation);
    this.#given = parameters;
    this.#client = clientWith(readToken());
    this.#runner = new Runner({ client: () => this.#client, changed: (turn) => this.#onProgress(turn) });
    this.story = new StoryPanel(
      () => this.#taste.cute,
      () => this.onStory(false),
    );
    this.view = new ConversationView(this.#actions());
    this.welcome = new Welcome((text) => this.send(text));
    this.composer = new Composer({
      send: (text) => this.send(text),
      stop: () => this.stop(),
      changed: () => this.#saver.soon(),
      openParameters: () => this.openParameters(),
      openStory: () => this.onStory(true),
    });
    this.composer.text = draft;
    this.parameters = new ParametersDialog((given) => this.#setParameters(given));
    this.token = new TokenDialog((token) => this.#setToken(token));
    this.health = new HealthPoll(
      () => this.#client,
      (view) => this.#onWorker(view),
    );
    const state = () => ({
      conversation: this.#conversation.data,
      parameters: this.#given,
      draft: this.composer.text,
    });
    this.#saver = new Saver(state, (isSaved) => this.banner.setUnsaved(!isSaved));
  }

  get taste(): Taste {
    return this.#taste;
  }

  get conversation(): Conversation {
    return this.#conversation;
  }

  get given(): Parameters {
    return this.#given;
  }

  get isBusy(): boolean {
    return this.#runner.turn !== undefined;
  }

  /** Draws the page, and reads on in an answer that ran when the page was left. */
  start(): void {
    this.composer.setParameters(summary(this.#given));
    this.#told = this.#lastAnswer?.id;
    this.#drawNow();
    this.health.ask();
    const running = this.#conversation.data.turns.find(
      (turn): turn is AnswerTurn => turn.kind === 'answer' && turn.answer.status === 'running',
    );
    if (running) void this.#runner.resume(running);
  }

  setTaste(change: Partial<Taste>): void {
    this.#taste = { ...this.#taste, ...change };
    writeTaste(this.#taste);
    applyTheme(this.#taste);
    this.#draw();
  }

  openParameters(name?: string): void {
    this.parameters.open(this.#given, name);
  }

  /** Sends a message after the last turn. False: as for `#ask`. */
  send(text: string): boolean {
    const isSent = this.#ask(this.#conversation.path.at(-1)?.id ?? '', { kind: 'user', text });
    if (isSent) this.composer.focus();
    return isSent;
  }

  stop(): void {
    void this.#runner.stop();
  }

  /** Generates the last answer again. */
  regenerate(): void {
    if (this.#lastAnswer) this.#regenerate(this.#lastAnswer);
  }

  /** Begins a conversation; an answer that runs is stopped. */
  replace(conversation: Conversation, parameters = this.#given): void {
    this.stop();
    this.#conversation = conversation;
    this.#setParameters(parameters);
    this.#told = this.#lastAnswer?.id;
    this.view.clear();
    this.#drawNow();
    this.#saver.now();
    this.composer.focus();
  }

  /** Switches between the branches of the last turn that has several. */
  branch(by: number): void {
    const turn = this.#conversation.path.findLast((one) => this.#conversation.branches(one).ids.length > 1);
    if (turn) this.#branch(turn, by);
  }

  get #lastAnswer(): AnswerTurn | undefined {
    return this.#conversation.path.findLast((turn) => turn.kind === 'answer');
  }

  #actions(): Actions {
    return {
      edit: (turn, text) => this.#ask(turn.parent, { kind: 'user', text }),
      regenerate: (turn) => this.#regenerate(turn),
      sendResults: (turn, results) => this.#ask(turn.id, { kind: 'results', results }),
      branch: (turn, by) => this.#branch(turn, by),
      showStory: (turn) => {
        this.#told = turn.id;
        this.#draw();
        this.onStory(true);
      },
    };
  }

  #regenerate(turn: AnswerTurn): void {
    const before = this.#conversation.get(turn.parent);
    if (before && this.#mayAnswer()) this.#answer(before);
  }

  /**
   * Adds a turn after another one, and asks the worker for an answer. False if that is not possible now: then
   * nothing has changed, and the person keeps the text.
   */
  #ask(parent: string, turn: NewTurn): boolean {
    if (!this.#mayAnswer()) return false;
    this.#answer(this.#conversation.add(parent, turn));
    return true;
  }

  /** False while an answer runs, and for a wrong parameter, whose field is shown. */
  #mayAnswer(): boolean {
    if (this.isBusy) return false;
    const problem = firstProblem(this.#given);
    if (problem) this.openParameters(problem.name);
    return problem === undefined;
  }

  #branch(turn: Turn, by: number): void {
    const { ids, index } = this.#conversation.branches(turn);
    const other = this.#conversation.get(ids[index + by] ?? '');
    if (!other || this.isBusy) return;
    this.#conversation.choose(other);
    this.#told = this.#lastAnswer?.id;
    this.#draw();
    this.#saver.soon();
  }

  /** Asks the worker for an answer after a turn. */
  #answer(before: Turn): void {
    const answer = newAnswer(newJobId(), now());
    const messages = this.#conversation.messages(before.id, this.#given['system'] ?? '');
    const turn = this.#conversation.add(before.id, { kind: 'answer', answer }) as AnswerTurn;
    this.#told = turn.id;
    void this.#runner.start(turn, messages, requestFields(this.#given));
    this.#draw();
    this.#saver.now();
  }

  #onProgress(turn: AnswerTurn): void {
    const { answer } = turn;
    this.announcer.tell(answer);
    if (answer.failure?.code === 'UNAUTHORIZED') this.token.open();
    if (answer.status === 'running') this.#saver.soon();
    else {
      this.#saver.now();
      this.health.ask();
    }
    this.#draw();
  }

  #drawNow(): void {
    const isBusy = this.isBusy;
    const path = this.#conversation.path;
    this.health.isBusy = isBusy;
    this.welcome.element.hidden = path.length > 0;
    this.view.draw({ conversation: this.#conversation, told: this.#told, isBusy });
    this.composer.setBusy(isBusy);
    const told = this.#conversation.get(this.#told ?? '');
    this.story.show(told?.kind === 'answer' ? told.answer : undefined);
    const sentence = told?.kind === 'answer' ? told.answer.story.sentences.at(-1) : undefined;
    this.composer.setTicker((this.#taste.cute ? sentence?.cute : undefined) ?? sentence?.human ?? '');
    document.body.classList.toggle('busy', isBusy);
  }

  #onWorker(view: WorkerView): void {
    this.worker.draw(view);
    this.banner.draw(view);
    if (view.state === 'locked') this.token.open();
    if ('health' in view && view.health) this.welcome.setModel(view.health.model);
  }

  #setParameters(given: Parameters): void {
    this.#given = given;
    this.composer.setParameters(summary(given));
    this.#saver.soon();
  }

  #setToken(token: string): void {
    writeToken(token);
    this.#client = clientWith(token);
    this.health.ask();
  }
}
