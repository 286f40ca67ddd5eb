# PowerShell completion of `kubectl-certcourier`.

Register-ArgumentCompleter -Native -CommandName 'kubectl-certcourier' -ScriptBlock {
    param($Unfinished, $Line, $Cursor)
    $Words = @($Line.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($Unfinished -eq '') {
        # Before 7.3 an empty argument is lost unless it is quoted twice.
        $Words += if ($PSVersionTable.PSVersion -lt [version]'7.3') { '""' } else { '' }
    }
    & kubectl-certcourier __complete @Words 2>$null | Where-Object { $_ -notmatch '^:\d+$' } | ForEach-Object {
        $Name, $About = $_ -split "`t", 2
        if (-not $About) { $About = $Name }
        [System.Management.Automation.CompletionResult]::new($Name, $Name, 'ParameterValue', $About)
    }
}
