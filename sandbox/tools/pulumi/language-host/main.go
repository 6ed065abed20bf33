// Command pulumi-language-python runs Python programs and policy packs for the Pulumi engine.
//
// Pulumi's own language host is not published as a Go module, so the sandbox brings this one, made from the
// published building blocks: toolchain finds the interpreter, rpcutil serves gRPC, PolicyProxy starts policy packs.
// It serves `up`, `preview`, `destroy`, `install`, `about` and `--policy-pack`. It leaves out code generation and
// does not look for required plugins: the sandbox lays those down beforehand. Where the user has a Pulumi CLI,
// the CLI's own host is used instead of this one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	pulumi "github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// The launcher script ends with this code when it has already shown the error; the engine then adds nothing.
	alreadyReported = 32
	// How long an interrupted program may take to end before it is killed.
	interruptGrace = 5 * time.Second
	// How often the engine is asked whether it still lives: a host must not outlive a killed engine.
	engineCheck = 15 * time.Second
	launcher    = "pulumi-language-python-exec"
)

type host struct {
	rpc.UnimplementedLanguageRuntimeServer
	engine string
	life   context.Context // ends with Cancel, a signal, or the engine
	end    context.CancelFunc
}

func main() {
	// The engine may add these to any plugin; none of them changes what this host does. The SDK's logger brings
	// some of them already.
	for _, name := range []string{"logtostderr", "logflow", "tracing", "v"} {
		if flag.Lookup(name) == nil && strings.HasPrefix(name, "log") {
			flag.Bool(name, false, "accepted and ignored")
		} else if flag.Lookup(name) == nil {
			flag.String(name, "", "accepted and ignored")
		}
	}
	flag.Parse()
	if err := serve(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-python:", err)
		os.Exit(1)
	}
}

func serve(engine string) error {
	life, end := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer end()
	if engine != "" {
		if err := rpcutil.Healthcheck(life, engine, engineCheck, end); err != nil {
			return fmt.Errorf("watching the engine at %s: %w", engine, err)
		}
	}
	stop := make(chan bool)
	go func() {
		<-life.Done()
		close(stop)
	}()
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: stop,
		Init: func(server *grpc.Server) error {
			rpc.RegisterLanguageRuntimeServer(server, &host{engine: engine, life: life, end: end})
			return nil
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(handle.Port) // the engine reads the port from the first line
	return <-handle.Done
}

func (h *host) Handshake(_ context.Context, r *rpc.LanguageHandshakeRequest) (*rpc.LanguageHandshakeResponse, error) {
	h.engine = r.EngineAddress
	return &rpc.LanguageHandshakeResponse{}, nil
}

func (h *host) GetPluginInfo(context.Context, *emptypb.Empty) (*rpc.PluginInfo, error) {
	return &rpc.PluginInfo{Version: version.Version}, nil
}

func (h *host) GetRequiredPackages(
	context.Context, *rpc.GetRequiredPackagesRequest,
) (*rpc.GetRequiredPackagesResponse, error) {
	return &rpc.GetRequiredPackagesResponse{}, nil
}

// Cancel interrupts what runs now; the engine sends it before it closes the host.
func (h *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.end()
	return &emptypb.Empty{}, nil
}

func (h *host) Run(ctx context.Context, r *rpc.RunRequest) (*rpc.RunResponse, error) {
	python, err := chooseToolchain(r.Info)
	if err != nil {
		return nil, err
	}
	if err := python.ValidateVenv(ctx); err != nil {
		return nil, err
	}
	script, err := besideThisBinary(launcher)
	if err != nil {
		return nil, err
	}
	ctx, release := h.during(ctx)
	defer release()
	cmd, err := python.Command(ctx, append([]string{"-u", script}, programArguments(h.engine, r)...)...)
	if err != nil {
		return nil, err
	}
	interruptible(cmd)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // the engine shows these as log lines
	if cmd.Env, err = withConfiguration(environment(cmd), r.Config, r.ConfigSecretKeys); err != nil {
		return nil, err
	}
	return describeExit(cmd.Run())
}

func describeExit(err error) (*rpc.RunResponse, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &rpc.RunResponse{}, nil
	case !errors.As(err, &exit):
		return nil, fmt.Errorf("the Python program could not be started: %w", err)
	case exit.ExitCode() == alreadyReported:
		return &rpc.RunResponse{Bail: true}, nil
	default:
		return &rpc.RunResponse{Error: fmt.Sprintf("Program exited with %s", exit.ProcessState)}, nil
	}
}

func programArguments(engine string, r *rpc.RunRequest) []string {
	program := r.Info.GetEntryPoint()
	if program == "" {
		program = "."
	}
	args := []string{}
	for _, option := range [][2]string{
		{"--project", r.Project}, {"--root_directory", r.Info.GetRootDirectory()}, {"--stack", r.Stack},
		{"--parallel", strconv.Itoa(int(r.Parallel))}, {"--dry_run", strconv.FormatBool(r.DryRun)}, {"--pwd", r.Pwd},
		{"--monitor", r.MonitorAddress}, {"--engine", engine}, {"--organization", r.Organization},
	} {
		if option[1] != "" {
			args = append(args, option[0], option[1])
		}
	}
	return append(append(args, program), r.Args...)
}

// RunPlugin starts a policy pack, or a plugin that is written in Python and has a __main__.py.
func (h *host) RunPlugin(r *rpc.RunPluginRequest, server rpc.LanguageRuntime_RunPluginServer) error {
	ctx, release := h.during(server.Context())
	defer release()
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(server, false)
	if err != nil {
		return err
	}
	defer closer.Close() //nolint:errcheck // nothing is left to tell
	python, err := chooseToolchain(r.Info)
	if err != nil {
		return err
	}
	if err := python.ValidateVenv(ctx); err != nil {
		return err
	}
	if r.Kind == "analyzer" {
		err = runPolicyPack(ctx, python, r, stdout, stderr)
	} else {
		err = runPythonPlugin(ctx, python, r, stdout, stderr)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return server.Send(&rpc.RunPluginResponse{
			Output: &rpc.RunPluginResponse_Exitcode{Exitcode: int32(exit.ExitCode())}, //nolint:gosec // a byte
		})
	}
	return err
}

// runPolicyPack waits for the stack's configuration, which a pack can only be given at its start.
func runPolicyPack(
	ctx context.Context, python toolchain.Toolchain, r *rpc.RunPluginRequest, stdout, stderr io.Writer,
) error {
	proxy, packOutput, err := pulumi.NewPolicyProxy(ctx, stdout)
	if err != nil {
		return err
	}
	stack, err := proxy.AwaitConfiguration(ctx)
	if err != nil {
		return err
	}
	cmd, err := python.ModuleCommand(ctx, "pulumi.policy", append(r.Args, r.Info.ProgramDirectory)...)
	if err != nil {
		return err
	}
	cmd.Args = append([]string{cmd.Args[0], "-u"}, cmd.Args[1:]...) // the port must reach us at once
	interruptible(cmd)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.Info.ProgramDirectory, packOutput, stderr
	cmd.Env = merge(environment(cmd), r.Env)
	if stack != nil {
		cmd.Env = append(cmd.Env, "PULUMI_ORGANIZATION="+stack.Organization, "PULUMI_PROJECT="+stack.Project,
			"PULUMI_STACK="+stack.Stack, "PULUMI_DRY_RUN="+strconv.FormatBool(stack.DryRun))
		if cmd.Env, err = withConfiguration(cmd.Env, stack.Config, stack.ConfigSecretKeys); err != nil {
			return err
		}
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the policy pack in %s could not be started: %w", r.Info.ProgramDirectory, err)
	}
	return proxy.Attach(ctx, cmd)
}

func runPythonPlugin(
	ctx context.Context, python toolchain.Toolchain, r *rpc.RunPluginRequest, stdout, stderr io.Writer,
) error {
	program := filepath.Join(r.Info.ProgramDirectory, r.Info.EntryPoint)
	if _, err := os.Stat(filepath.Join(program, "__main__.py")); err != nil {
		return fmt.Errorf("plugin %q in %s has no __main__.py; this host runs only plugins that have one", r.Name, program)
	}
	cmd, err := python.Command(ctx, append([]string{"-u", program}, r.Args...)...)
	if err != nil {
		return err
	}
	interruptible(cmd)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = r.Pwd, stdout, stderr, merge(environment(cmd), r.Env)
	return cmd.Run()
}

func (h *host) InstallDependencies(
	r *rpc.InstallDependenciesRequest, server rpc.LanguageRuntime_InstallDependenciesServer,
) error {
	closer, stdout, stderr, err := rpcutil.MakeInstallDependenciesStreams(server, r.IsTerminal)
	if err != nil {
		return err
	}
	defer closer.Close() //nolint:errcheck // nothing is left to tell
	python, err := chooseToolchain(r.Info)
	if err != nil {
		return err
	}
	return python.InstallDependencies(
		server.Context(), r.Info.ProgramDirectory, r.UseLanguageVersionTools, true, stdout, stderr)
}

func (h *host) About(ctx context.Context, r *rpc.AboutRequest) (*rpc.AboutResponse, error) {
	python, err := chooseToolchain(r.Info)
	if err != nil {
		return nil, err
	}
	info, err := python.About(ctx)
	if err != nil {
		return nil, err
	}
	return &rpc.AboutResponse{Executable: info.PythonExecutable, Version: info.PythonVersion.String()}, nil
}

func (h *host) GetProgramDependencies(
	ctx context.Context, r *rpc.GetProgramDependenciesRequest,
) (*rpc.GetProgramDependenciesResponse, error) {
	python, err := chooseToolchain(r.Info)
	if err != nil {
		return nil, err
	}
	packages, err := python.ListPackages(ctx, r.TransitiveDependencies)
	if err != nil {
		return nil, err
	}
	answer := &rpc.GetProgramDependenciesResponse{}
	for _, found := range packages {
		answer.Dependencies = append(answer.Dependencies, &rpc.DependencyInfo{Name: found.Name, Version: found.Version})
	}
	return answer, nil
}

// during ties one request to the life of this host.
func (h *host) during(request context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(request)
	unlink := context.AfterFunc(h.life, cancel)
	return ctx, func() { unlink(); cancel() }
}

func chooseToolchain(info *rpc.ProgramInfo) (toolchain.Toolchain, error) {
	options := toolchain.PythonOptions{
		Root: info.GetRootDirectory(), ProgramDir: info.GetProgramDirectory(), Toolchain: toolchain.Auto,
	}
	given := info.GetOptions().GetFields()
	options.Virtualenv = given["virtualenv"].GetStringValue()
	switch name := given["toolchain"].GetStringValue(); name {
	case "":
	case "pip":
		options.Toolchain = toolchain.Pip
	case "poetry":
		options.Toolchain = toolchain.Poetry
	case "uv":
		options.Toolchain = toolchain.Uv
	default:
		return nil, fmt.Errorf("runtime option toolchain is %q; it can be pip, poetry or uv", name)
	}
	return toolchain.ResolveToolchain(options)
}

func besideThisBinary(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing; set the sandbox up again: %w", path, err)
	}
	return path, nil
}

// interruptible asks Python to end before it is killed. SIGTERM, not SIGINT: an update that fails or a policy that is
// violated ends the program too, and SIGINT would bury the reason under the traceback of a KeyboardInterrupt.
func interruptible(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = interruptGrace
}

func environment(cmd *exec.Cmd) []string {
	if cmd.Env != nil {
		return cmd.Env
	}
	return os.Environ()
}

// merge adds what the engine asks for, except the variables by which a virtual environment was activated.
func merge(activated, wanted []string) []string {
	for _, entry := range wanted {
		name, _, _ := strings.Cut(entry, "=")
		if name != "PATH" && name != "VIRTUAL_ENV" && name != "PYTHONHOME" {
			activated = append(activated, entry)
		}
	}
	return activated
}

func withConfiguration(environ []string, config map[string]string, secretKeys []string) ([]string, error) {
	// A nil map would be written as null, which the SDK's policy runner cannot iterate over.
	if config == nil {
		config = map[string]string{}
	}
	values, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if secretKeys == nil {
		secretKeys = []string{}
	}
	keys, err := json.Marshal(secretKeys)
	if err != nil {
		return nil, err
	}
	return append(environ, "PULUMI_CONFIG="+string(values), "PULUMI_CONFIG_SECRET_KEYS="+string(keys)), nil
}
